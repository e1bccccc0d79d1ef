"""UE-DPO on a tiny LLaVA against the equations in plain torch: loss, weights and gradient; and what it costs."""

import jax
import jax.numpy as jnp
import needs_torch  # noqa: F401
import numpy as np
import pytest
import torch
from mdpo_world import make_world
from tiny_llava import tiny_llava
from torch_uncertainty import kept_variance, ue_dpo

from jax_mdpo.core.views import CHOSEN, CLEAN, NOISED, REJECTED, View
from jax_mdpo.corruptions import Noise
from jax_mdpo.data.dataset import PairDataset
from jax_mdpo.data.settings import DataSettings
from jax_mdpo.data.variants import Variants, on_device
from jax_mdpo.lora.attach import factors_of
from jax_mdpo.models.actors import make_actors
from jax_mdpo.models.families.llava.model import Llava
from jax_mdpo.models.views import evaluate
from jax_mdpo.objectives.dpo import DPO
from jax_mdpo.objectives.term import Views
from jax_mdpo.objectives.uncertainty import Uncertainty
from jax_mdpo.recipe.adapters import stored_adapter
from jax_mdpo.recipe.loading import load
from jax_mdpo.training.step import Loss

NOISE, WEIGHTING = Noise(step=500), Uncertainty(alpha=0.3, tau=0.4)
VARIANTS = Variants((CLEAN, NOISED), {NOISED: NOISE})
CORRUPTIONS = {NOISED: on_device(NOISE)}
SETTINGS = {"beta": 0.1, "alpha": 0.3, "tau": 0.4}


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    return make_world(tmp_path_factory.mktemp("world"))


@pytest.fixture(scope="module")
def checkpoint(world):
    return load(world.folder)


@pytest.fixture(scope="module")
def adapted(world, checkpoint):
    return make_actors(checkpoint, stored_adapter(world.adapter, checkpoint))


def batch_of(world, checkpoint, *, pack=1):
    """All five pairs and one that is padding."""
    data = PairDataset.open(DataSettings(path=str(world.data), pack=pack), checkpoint.processor)
    (host,) = data.batches(data.ordered_batches(batch_size=6), variants=VARIANTS)
    return host.ids, jax.tree.map(jnp.asarray, host.batch)


def differentiated(checkpoint, adapted, batch, weights):
    actors, frozen, lora = adapted
    loss = Loss(actors, (DPO(weights=weights),), chunk=4, corruptions=CORRUPTIONS)
    with checkpoint.scope():
        (value, metrics), gradient = jax.jit(jax.value_and_grad(loss, has_aux=True))(lora, frozen, batch, jnp.float32(5))
    return float(value), metrics, gradient


@pytest.fixture(scope="module")
def theirs(world, checkpoint):
    """By record: loss and weights in torch; the gradient of the mean loss stands in the policy's parameters."""
    _, batch = batch_of(world, checkpoint)
    for name, parameter in world.policy.named_parameters():
        parameter.requires_grad_("lora_" in name)
    reference, found = tiny_llava(scale=0.15), []
    for record, draw in zip(world.records, np.asarray(batch.draws[NOISED])[:, 0], strict=False):
        key = jax.random.wrap_key_data(jnp.asarray(draw[1:]), impl="threefry2x32")
        drawn = torch.tensor(np.array(jax.random.normal(key, (28, 28, 3)))).permute(2, 0, 1)[None]
        kept = kept_variance(500)
        found.append(
            ue_dpo(
                world.policy,
                reference,
                world.reader,
                record,
                lambda pixels, drawn=drawn, kept=kept: kept.sqrt() * pixels + (1 - kept).sqrt() * drawn,
                **SETTINGS,
            )
        )
    torch.stack([loss for loss, _ in found]).mean().backward()
    return found


def test_weights_equal_torch(world, checkpoint, adapted, theirs):
    actors, frozen, lora = adapted
    _, batch = batch_of(world, checkpoint)
    loss = Loss(actors, (DPO(weights=WEIGHTING),), chunk=4, corruptions=CORRUPTIONS)

    @jax.jit
    def weights(frozen, lora, batch):
        tokens = evaluate(loss.plan(), batch, actors.select(frozen, lora), shared_tower=True, chunk=4, corruptions=CORRUPTIONS)
        return {
            response: WEIGHTING(Views(tokens), View(CLEAN, response), preferred=response == CHOSEN).values
            for response in (CHOSEN, REJECTED)
        }

    with checkpoint.scope():
        found = weights(frozen, lora, batch)
    for response in (CHOSEN, REJECTED):
        scored = np.asarray(batch.branches[response].scored)
        for place, (_, expected) in enumerate(theirs):
            np.testing.assert_allclose(found[response][place][scored[place]], expected[response], atol=1e-4)
        spread = torch.cat([weights[response] for _, weights in theirs])
        assert len(spread.unique()) > 3, "weights of every kind, or nothing is compared"


def test_loss_and_gradient_equal_torch(world, checkpoint, adapted, theirs):
    _, batch = batch_of(world, checkpoint)
    value, _, gradient = differentiated(checkpoint, adapted, batch, WEIGHTING)
    assert value == pytest.approx(np.mean([loss.item() for loss, _ in theirs]), abs=1e-4)
    adapter = stored_adapter(world.adapter, checkpoint)
    ours = factors_of(adapted[0].as_state(gradient), checkpoint.modules, adapter.targets)
    lora = {name: parameter for name, parameter in world.policy.named_parameters() if "lora_" in name}
    assert len(lora) == 2 * len(ours)
    for name, parameter in lora.items():
        module, _, kind = name.removeprefix("base_model.model.").partition(".lora_")
        mine = np.asarray(ours[module][0 if kind.startswith("A") else 1])
        expected = parameter.grad.numpy()
        mine = mine if mine.shape == expected.shape else mine.T
        assert np.linalg.norm(mine - expected) <= 1e-4 * np.linalg.norm(expected), name


def test_alpha_zero_is_dpo_and_rows_may_be_packed(world, checkpoint, adapted):
    _, batch = batch_of(world, checkpoint)
    plain, none = (differentiated(checkpoint, adapted, batch, weights) for weights in (None, Uncertainty(alpha=0.0)))
    same(none, plain)  # two programs, so up to rounding; the terms' own equality is exact (tests/objectives/test_uncertainty.py)
    apart = differentiated(checkpoint, adapted, batch, WEIGHTING)
    ids, packed = batch_of(world, checkpoint, pack=3)
    assert ids[-1] == "", "one pair is padding"
    same(differentiated(checkpoint, adapted, packed, WEIGHTING), apart)
    assert abs(apart[0] - plain[0]) > 1e-3, "the weights matter"


def same(one, other):
    """Loss and gradient, up to float32's rounding."""
    assert one[0] == pytest.approx(other[0], rel=1e-6)
    for a, b in zip(*(jax.tree.leaves(found[2]) for found in (one, other)), strict=True):
        assert np.linalg.norm(a - b) <= 1e-5 * np.linalg.norm(b)


def test_noised_views_cost_one_pass_without_a_gradient(world, checkpoint, adapted, monkeypatch):
    """Three decoder passes, two images through one pass of the tower; nothing behind the noised one in the backward pass."""
    decode, look, passes, looks = Llava.decode, Llava.look, [], []
    monkeypatch.setattr(Llava, "decode", lambda *arguments: (passes.append(arguments[1].shape[0]), decode(*arguments))[1])
    monkeypatch.setattr(Llava, "look", lambda *arguments: (looks.append(arguments[1].shape[0]), look(*arguments))[1])
    actors, frozen, lora = adapted
    _, batch = batch_of(world, checkpoint)
    loss = Loss(actors, (DPO(weights=WEIGHTING),), chunk=4, corruptions=CORRUPTIONS)
    with checkpoint.scope():
        jax.make_jaxpr(lambda lora: loss(lora, frozen, batch, jnp.float32(5))[0])(lora)
    assert (passes, looks) == ([6, 6, 6], [12])
    run = loss.plan()
    assert {(forward.model, forward.gradient, forward.images) for forward in run.forwards} == {
        ("policy", True, (CLEAN,)),
        ("policy", False, (NOISED,)),
        ("reference", False, (CLEAN,)),
    }
    assert set(batch.images) == {CLEAN}, "the device makes the noised image from the clean one"
