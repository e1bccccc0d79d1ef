"""Image variants that the device makes: without the image, with part of its tokens, under noise; against transformers on a tiny LLaVA."""

import jax
import jax.numpy as jnp
import needs_torch  # noqa: F401
import numpy as np
import pytest
import torch
import torch.nn.functional as F
from mdpo_world import make_world
from tiny_llava import IMAGE_TOKEN, tiny_llava
from torch_uncertainty import response_logits

from jax_mdpo.core.views import CHOSEN, CLEAN, NEGATIVE, NOISED, NONE, Need, View
from jax_mdpo.corruptions import Noise, TokenMask
from jax_mdpo.data.dataset import PairDataset
from jax_mdpo.data.hard_negatives import Black, Mixture
from jax_mdpo.data.settings import DataSettings
from jax_mdpo.data.variants import Variants, on_device
from jax_mdpo.models.actors import make_actors
from jax_mdpo.models.plan import plan
from jax_mdpo.models.views import evaluate
from jax_mdpo.recipe.loading import load

MIXTURE = Mixture(of=(Black(), TokenMask(share=0.5), Noise(step=900)), weights=(1.0, 1.0, 1.0))


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    return make_world(tmp_path_factory.mktemp("world"))


@pytest.fixture(scope="module")
def checkpoint(world):
    return load(world.folder)


def evaluated(world, checkpoint, makers, image, *, pack=1, **need):
    """The tokens of the chosen answers under an image variant, and the batch."""
    run = plan([Need("policy", View(image, CHOSEN), gradient=False, **need)])
    data = PairDataset.open(DataSettings(path=str(world.data), pack=pack), checkpoint.processor)
    variants = Variants(tuple(one for one in run.images), makers)
    (host,) = data.batches(data.ordered_batches(batch_size=6), variants=variants)
    batch = jax.tree.map(jnp.asarray, host.batch)
    actors, frozen, lora = make_actors(checkpoint)
    corruptions = {variant: on_device(maker) for variant, maker in makers.items()}

    @jax.jit
    def forward(frozen, lora, batch):
        return evaluate(run, batch, actors.select(frozen, lora), shared_tower=True, chunk=8, corruptions=corruptions)

    with checkpoint.scope():
        return jax.device_get(forward(frozen, lora, batch)["policy", View(image, CHOSEN)]), host


@pytest.mark.parametrize("pack", [1, 3])
def test_without_the_image_it_is_the_prompt_without_its_tokens(world, checkpoint, pack):
    found, host = evaluated(world, checkpoint, {}, NONE, pack=pack)
    model = tiny_llava(scale=0.15)
    by_id = {record["id"]: record for record in world.records} if "id" in world.records[0] else dict(enumerate(world.records))
    for row, name in enumerate(host.ids):
        if name == "":
            continue
        record = by_id[name]
        question, answer = world.reader.sequence(record["prompt"], record["chosen"])
        question = [token for token in question if token != IMAGE_TOKEN]
        with torch.no_grad():
            logits = model(input_ids=torch.tensor([[*question, *answer]])).logits[0, len(question) - 1 : -1]
        expected = F.log_softmax(logits, dim=-1).gather(1, torch.tensor(answer)[:, None])[:, 0]
        np.testing.assert_allclose(found.logps[row][found.scored[row]], expected, atol=1e-4)


def test_noised_pixels_reach_the_tower_and_logits_are_transformers(world, checkpoint):
    found, host = evaluated(world, checkpoint, {NOISED: Noise(step=500)}, NOISED)
    model, kept = tiny_llava(scale=0.15), Noise(step=500).kept
    for row, record in enumerate(world.records):
        key = jax.random.wrap_key_data(jnp.asarray(host.batch.draws[NOISED][row, 0, 1:]), impl="threefry2x32")
        drawn = torch.tensor(np.array(jax.random.normal(key, (28, 28, 3)))).permute(2, 0, 1)[None]
        pixels = kept**0.5 * world.reader.pixels(record["image"]) + (1 - kept) ** 0.5 * drawn
        with torch.no_grad():
            logits, tokens = response_logits(model, world.reader, pixels, record["prompt"], record["chosen"])
        np.testing.assert_allclose(found.logits[row][found.scored[row]], logits.gather(1, tokens[:, None])[:, 0], atol=1e-4)


def test_a_mixture_makes_each_record_s_negative_by_one_of_its_parts(world, checkpoint):
    """Numbers in the draws say which: a part of the host's has 0 and its own image, one of the device's the clean image."""
    makers = {NEGATIVE: MIXTURE}
    found, host = evaluated(world, checkpoint, makers, NEGATIVE)
    clean, _ = evaluated(world, checkpoint, {}, CLEAN)
    numbers = host.batch.draws[NEGATIVE][:5, 0, 0].tolist()
    assert set(numbers) <= {0, 2, 3} and len(set(numbers)) > 1, "the seed's draws are of several kinds"
    black = [not host.batch.images[NEGATIVE][row].any() for row in range(5)]
    assert black == [number == 0 for number in numbers]
    differing = [np.abs(found.logps[row] - clean.logps[row]).max() > 1e-4 for row in range(5)]
    assert all(differing)
    packed, _ = evaluated(world, checkpoint, makers, NEGATIVE, pack=3)
    for row in range(5):
        together = {tuple(np.round(packed.logps[one][packed.scored[one]], 4)) for one in range(6)}
        assert tuple(np.round(found.logps[row][found.scored[row]], 4)) in together, "neither order nor packing matters"


def test_all_tokens_masked_is_no_image(world, checkpoint):
    masked, _ = evaluated(world, checkpoint, {NEGATIVE: TokenMask(share=1.0)}, NEGATIVE)
    without, _ = evaluated(world, checkpoint, {}, NONE)
    np.testing.assert_allclose(masked.logps, without.logps, atol=1e-5)


def test_the_logit_of_the_token_guessed_under_noise(world, checkpoint):
    found, host = evaluated(world, checkpoint, {NOISED: Noise(step=999)}, CLEAN, guess=NOISED)
    model, kept, differing = tiny_llava(scale=0.15), Noise(step=999).kept, 0
    for row, record in enumerate(world.records):
        key = jax.random.wrap_key_data(jnp.asarray(host.batch.draws[NOISED][row, 0, 1:]), impl="threefry2x32")
        drawn = torch.tensor(np.array(jax.random.normal(key, (28, 28, 3)))).permute(2, 0, 1)[None]
        clear = world.reader.pixels(record["image"])
        with torch.no_grad():
            logits, _ = response_logits(model, world.reader, clear, record["prompt"], record["chosen"])
            noised, _ = response_logits(
                model, world.reader, kept**0.5 * clear + (1 - kept) ** 0.5 * drawn, record["prompt"], record["chosen"]
            )
        guesses = noised.argmax(1)
        differing += int((guesses != logits.argmax(1)).sum())
        np.testing.assert_allclose(found.guesses[NOISED][row][found.scored[row]], logits.gather(1, guesses[:, None])[:, 0], atol=1e-4)
    assert differing, "noise changes some guesses, or the test could not tell the two images apart"
