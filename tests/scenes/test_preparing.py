"""From settings to everything that a study needs, with a model too small and too little taught to see: stages, resuming, transformers."""

import dataclasses
import io
import json

import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image

from jax_mdpo.core.config import validate
from jax_mdpo.core.errors import ConfigError
from jax_mdpo.data.readers.reading import Fault, read_records
from jax_mdpo.layers.rows import Rows
from jax_mdpo.recipe.loading import load
from jax_mdpo.scenes import preparing
from jax_mdpo.scenes.checkpoint import Sizes
from jax_mdpo.scenes.files import HELD_OUT, TRAIN, Counts, write_world
from jax_mdpo.scenes.fitting import Fit, fit
from jax_mdpo.scenes.lessons import Lessons
from jax_mdpo.scenes.pairs import Cue, Sampling, sample
from jax_mdpo.scenes.picture import picture_of
from jax_mdpo.scenes.preparing import SceneSettings, prepare
from jax_mdpo.scenes.pretraining import Pretraining, pretrain
from jax_mdpo.scenes.scene import Scene, WorldSettings
from jax_mdpo.scenes.wording import DESCRIBE, caption
from jax_mdpo.weights.files import SINGLE_FILE

WORLD = WorldSettings(seed=7, most_pairs=1)
TINY = Pretraining(
    sizes=Sizes(tower_width=16, tower_layers=1, width=16, layers=1, heads=2),
    lessons=Lessons(count=32),
    tower=Fit(steps=2, batch=16),
    decoder=Fit(steps=2, batch=16),
)


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    folder = tmp_path_factory.mktemp("model") / "llava"
    sight = pretrain(folder, WORLD, TINY)
    assert 0 <= sight.recall <= 1
    return folder


def test_the_same_settings_give_the_same_weights(model, tmp_path):
    pretrain(tmp_path / "again", WORLD, TINY)
    assert (tmp_path / "again" / SINGLE_FILE).read_bytes() == (model / SINGLE_FILE).read_bytes()


def test_fitting_goes_downhill_in_an_order_of_the_seed():
    points = np.arange(8, dtype=np.float32)[:, None]

    def distance(at, some):
        return jnp.mean((at - some) ** 2)

    def fitted(seed, batch):
        return float(fit(distance, jnp.zeros(1), points, Fit(steps=50, batch=batch, learning_rate=0.2), seed=seed, label="toy")[0])

    assert fitted(0, 8) == pytest.approx(3.5, abs=0.5)  # the mean of 0 to 7; the learning rate falls to 0 before it is reached
    assert fitted(0, 2) == fitted(0, 2) != fitted(1, 2)


def test_transformers_loads_the_folder_and_gives_the_same_logits(model):
    torch = pytest.importorskip("torch", reason="torch's CPU build exists for Python 3.11 only")
    from transformers import AutoImageProcessor, AutoTokenizer, LlavaForConditionalGeneration

    text = f"USER:<image>\n{DESCRIBE} ASSISTANT: {caption(('lamp', 'cup'))}</s>"
    checkpoint = load(model, dtype="float32")
    processor = checkpoint.processor
    image = Image.open(io.BytesIO(picture_of(Scene(("lamp", "cup")), WORLD, "any", 0)))
    ids, slots = (np.array([part]) for part in processor.expand(processor.tokenize(text, special_tokens=True).ids))
    module = checkpoint.model()
    with checkpoint.scope():
        framed, tokens, places = map(jnp.asarray, (np.asarray(processor.frame(image))[None], ids, slots))
        seen = module.project(module.look(module.normalise(framed)))
        ours = module.logits(module.decode(module.embed(tokens, places, seen), Rows(jnp.ones_like(tokens))))
    theirs = LlavaForConditionalGeneration.from_pretrained(model, dtype=torch.float32).eval()
    tokenizer = AutoTokenizer.from_pretrained(model)
    messages = [{"role": "user", "content": [{"type": "image"}, {"type": "text", "text": DESCRIBE}]}]
    assert text.startswith(tokenizer.apply_chat_template(messages, add_generation_prompt=True, tokenize=False))
    encoded = tokenizer(text.replace("<image>", "<image>" * processor.image_features), return_tensors="pt").input_ids
    pixels = AutoImageProcessor.from_pretrained(model, backend="pil")(images=image, return_tensors="np")["pixel_values"]
    with torch.no_grad():
        expected = theirs(input_ids=encoded, pixel_values=torch.tensor(pixels)).logits.numpy()
    assert encoded.numpy().tolist() == ids.tolist()
    np.testing.assert_allclose(np.asarray(ours), expected, atol=2e-5, rtol=1e-4)  # float32, sums in another order


def test_samples_depend_on_the_seed_alone(model, tmp_path):
    world = write_world(tmp_path, WORLD, Counts(train=3, held_out=1, evaluation=1))
    drawn = [list(sample(model, world, TRAIN, Sampling(count=2, seed=seed))) for seed in (0, 0, 1)]
    assert [placed for placed, _ in drawn[0]] == world.scenes(TRAIN)
    assert all(len(captions) == 2 for _, captions in drawn[0])
    assert drawn[0] == drawn[1] != drawn[2]


@pytest.fixture
def careless_samples(monkeypatch):
    """In the place of the model's samples: true captions, and the same with one object less."""
    calls = []

    def write(model, world, folder, how):
        calls.append(how)
        for split in (TRAIN, HELD_OUT):
            named = [(placed.id, placed.scene.objects) for placed in world.scenes(split)]
            rows = [{"id": id, "captions": [caption(names), caption(names[:1])]} for id, names in named]
            (folder / f"{split}.json").write_text(json.dumps(rows))

    monkeypatch.setattr(preparing, "write_samples", write)
    return calls


def test_everything_is_prepared_and_shared_stages_are_made_once(model, careless_samples, tmp_path):
    settings = SceneSettings(
        world=WORLD, counts=Counts(train=6, held_out=4, evaluation=2), pretrained=str(model), cue=Cue(strength=1.0), pairs=2
    )
    made = prepare(tmp_path, settings)
    assert made.model == model
    assert len(json.loads(made.pairs.read_text())) == 2
    for path in (made.pairs, made.held_out, made.minimal_kept, made.minimal_broken):
        assert not any(isinstance(record, Fault) for record in read_records(path, images=made.images))
    assert made.pope.is_dir()
    assert made.captions.is_dir()
    assert prepare(tmp_path, settings) == made
    other = prepare(tmp_path, dataclasses.replace(settings, cue=Cue(strength=0.0)))
    assert other.pairs != made.pairs
    assert other.minimal_kept == made.minimal_kept
    assert len(careless_samples) == 1


def test_a_model_is_made_or_given_but_not_both():
    with pytest.raises(ConfigError, match="give one of them"):
        validate(SceneSettings, {"pretrained": "here", "pretraining": {}}, where="here")
