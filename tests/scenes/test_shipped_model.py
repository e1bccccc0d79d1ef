"""The tiny LLaVA that comes with the program is the one that the program would write, and it sees."""

from safetensors.numpy import load_file

from jax_mdpo.generation.requests import Request
from jax_mdpo.generation.settings import Decoding
from jax_mdpo.recipe.generating import generator_of
from jax_mdpo.recipe.loading import load
from jax_mdpo.scenes.checkpoint import Sizes, write_checkpoint_files
from jax_mdpo.scenes.picture import picture_of
from jax_mdpo.scenes.preparing import SHIPPED
from jax_mdpo.scenes.scene import KEPT, WorldSettings, scene_of
from jax_mdpo.scenes.wording import DESCRIBE, named_in
from jax_mdpo.weights.files import SINGLE_FILE

WORLD = WorldSettings(seed=3)  # not the world that it was taught with
SCENES = 24


def test_its_files_are_those_of_the_default_sizes(tmp_path):
    write_checkpoint_files(tmp_path, Sizes(), dtype="float16")
    written = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    shipped = {path.name: path.read_bytes() for path in SHIPPED.iterdir()}
    assert shipped.keys() - written.keys() == {SINGLE_FILE}
    assert {name: shipped[name] for name in written} == written


def test_its_weights_are_small():
    tensors = load_file(SHIPPED / SINGLE_FILE).values()
    assert {str(tensor.dtype) for tensor in tensors} == {"float16"}
    assert 1.0e6 < sum(tensor.size for tensor in tensors) < 1.3e6


def test_it_names_what_stands_in_a_picture(tmp_path):
    scenes = [scene_of(WORLD, "unseen", number, KEPT) for number in range(SCENES)]
    requests = []
    for number, scene in enumerate(scenes):
        (tmp_path / f"{number}.jpg").write_bytes(picture_of(scene, WORLD, "unseen", number))
        requests.append(Request(str(number), DESCRIBE, tmp_path / f"{number}.jpg"))
    answers = generator_of(load(SHIPPED, dtype="float32"), Decoding(max_tokens=40), batch=SCENES).answers(requests)
    named = [set(named_in(answer.text) or ()) for answer in answers]
    seen = sum(len(names & set(scene.objects)) for names, scene in zip(named, scenes, strict=True))
    assert seen >= 0.95 * sum(len(scene.objects) for scene in scenes)
