"""The train step: exact at the start, equal to torch autograd, and lean in what its program holds."""

import math

import jax
import jax.numpy as jnp
import needs_torch  # noqa: F401
import numpy as np
import pytest
import torch
from mdpo_world import make_world
from tiny_llava import tiny_llava
from torch_reference import mdpo_loss

from jax_mdpo.data.dataset import PairDataset
from jax_mdpo.data.hard_negatives import RejectedImage
from jax_mdpo.data.settings import DataSettings
from jax_mdpo.data.variants import Variants
from jax_mdpo.layers.execution import Execution
from jax_mdpo.lora.attach import factors_of
from jax_mdpo.lora.settings import LoRASettings
from jax_mdpo.models.actors import make_actors
from jax_mdpo.objectives.anchored import Anchored
from jax_mdpo.objectives.conditional import Conditional
from jax_mdpo.objectives.dpo import DPO
from jax_mdpo.recipe.adapters import fresh_adapter, stored_adapter
from jax_mdpo.recipe.loading import load
from jax_mdpo.training.optimizer import OptimizerSettings, learning_rate, make_optimizer
from jax_mdpo.training.state import initial_state
from jax_mdpo.training.step import Loss, make_step

MDPO = (DPO(), Conditional(), Anchored())
WAYS = {  # of running the model, with how many pairs in a row; tests/layers/test_stack.py has all of a stack's
    "unrolled, rematerialised, packed": (Execution(scan=False, remat="mlp"), 3),
    "cudnn": (Execution(attention="cudnn"), 1),
    "splash, packed, rematerialised": (Execution(attention="splash", remat="mlp"), 3),
}


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    return make_world(tmp_path_factory.mktemp("world"))


@pytest.fixture(scope="module")
def checkpoint(world):
    return load(world.folder)


@pytest.fixture(scope="module")
def batch(world, checkpoint):
    """All five pairs and a row of padding."""
    return read(world, checkpoint)


def read(world, checkpoint, *, pack=1):
    data = PairDataset.open(DataSettings(path=str(world.data), pack=pack), checkpoint.processor)
    plans = data.ordered_batches(batch_size=6)
    (host,) = data.batches(plans, variants=Variants(("clean", "negative"), {"negative": RejectedImage()}))
    return jax.tree.map(jnp.asarray, host.batch)


@pytest.fixture(scope="module")
def gradients(world, checkpoint, batch):
    """Loss, metrics and gradients from the stored adapter."""
    return differentiated(world, checkpoint, batch)


def differentiated(world, checkpoint, batch):
    adapter = stored_adapter(world.adapter, checkpoint)
    actors, frozen, lora = make_actors(checkpoint, adapter)
    loss = Loss(actors, MDPO, chunk=4)
    with checkpoint.scope():
        (value, metrics), gradient = jax.jit(jax.value_and_grad(loss, has_aux=True))(lora, frozen, batch, jnp.float32(5))
    by_module = factors_of(actors.as_state(gradient), checkpoint.modules, adapter.targets)
    return float(value), metrics, by_module


def test_a_fresh_adapter_starts_at_three_log_two(checkpoint, batch):
    actors, frozen, lora = make_actors(checkpoint, fresh_adapter(LoRASettings(r=4, lora_alpha=8), checkpoint, seed=0))
    loss = Loss(actors, MDPO, chunk=4)
    with checkpoint.scope():
        value, metrics = jax.jit(loss)(lora, frozen, batch, jnp.float32(5))
    exact = jax.default_backend() == "cpu"
    assert float(value) == pytest.approx(3 * math.log(2), abs=1e-6 if exact else 3e-3)
    for name in ("rewards/chosen", "rewards/rejected", "rewards/negative"):
        assert abs(float(metrics[name])) <= (0 if exact else 1e-3)


def test_loss_equals_torch(world, gradients):
    value, *_ = gradients
    with torch.no_grad():
        expected = mdpo_loss(world.policy, tiny_llava(scale=0.15), world.reader, world.records, beta=0.1)
    assert value == pytest.approx(expected.item(), abs=1e-4)
    assert abs(value - 3 * math.log(2)) > 0.01, "the adapter must move the loss, far beyond the tolerance"


def relative(ours: np.ndarray, theirs: np.ndarray) -> float:
    return float(np.linalg.norm(ours - theirs) / np.linalg.norm(theirs))


def test_gradient_of_every_lora_matrix_equals_torch_autograd(world, gradients):
    *_, ours = gradients
    for parameter in world.policy.parameters():
        parameter.requires_grad_(False)
    lora = {name: p for name, p in world.policy.named_parameters() if "lora_" in name}
    for parameter in lora.values():
        parameter.requires_grad_(True)
    reference = tiny_llava(scale=0.15)
    mdpo_loss(world.policy, reference, world.reader, world.records, beta=0.1).backward()
    assert len(lora) == 2 * len(ours)
    for name, parameter in lora.items():
        module, _, half = name.removeprefix("base_model.model.").rpartition(".lora_")
        mine = ours[module][0 if half.startswith("A") else 1]
        assert mine.shape == tuple(parameter.shape)
        assert relative(mine, parameter.grad.numpy()) < 1e-4, name


@pytest.mark.parametrize("way", WAYS)
def test_every_way_of_running_gives_the_same_loss_and_gradient(world, gradients, way):
    execution, pack = WAYS[way]
    if execution.attention != "xla" and jax.default_backend() != "cpu":
        pytest.skip("only a CPU stands in for every kernel; what a kernel computes on its own device is tested in tests/layers")
    checkpoint = load(world.folder, execution=execution)
    rows = read(world, checkpoint, pack=pack)
    assert rows.valid.shape == (6 // pack, pack)
    value, metrics, by_module = differentiated(world, checkpoint, rows)
    expected, expected_metrics, expected_by_module = gradients
    assert value == pytest.approx(expected, rel=1e-5)
    assert {name: float(found) for name, found in metrics.items()} == pytest.approx(
        {name: float(found) for name, found in expected_metrics.items()}, rel=1e-5, abs=1e-5
    )
    for name, halves in expected_by_module.items():
        for ours, theirs in zip(by_module[name], halves, strict=True):
            assert relative(ours, theirs) < 1e-5, name


def test_accumulation_gives_the_whole_batch_s_update(checkpoint, batch):
    """Parts with unequal numbers of valid pairs: the mean is over pairs, not over parts."""
    adapter = fresh_adapter(LoRASettings(r=2, lora_alpha=4), checkpoint, seed=1)
    settings = OptimizerSettings(learning_rate=1e-2, warmup_ratio=0.0)
    updated = []
    for accumulation in (1, 3):
        actors, frozen, lora = make_actors(checkpoint, adapter)
        optimizer = make_optimizer(settings, 10)
        step = make_step(Loss(actors, MDPO, chunk=4), optimizer, learning_rate(settings, 10), accumulation=accumulation, dropout=False)
        with checkpoint.scope():
            state, metrics = step(frozen, initial_state(lora, optimizer, 0), batch)
        updated.append((state.lora, metrics))
    (whole, metrics), (parts, summed) = updated
    assert float(metrics["loss"]) == pytest.approx(float(summed["loss"]), rel=1e-6)
    assert float(metrics["grad_norm"]) == pytest.approx(float(summed["grad_norm"]), rel=1e-5)
    for ours, theirs in zip(jax.tree.leaves(whole), jax.tree.leaves(parts), strict=True):
        np.testing.assert_allclose(ours, theirs, atol=1e-5)


def test_dropout_reaches_the_policy_only_and_changes_with_the_step(checkpoint, batch):
    adapter = fresh_adapter(LoRASettings(r=2, lora_alpha=4, lora_dropout=0.5), checkpoint, seed=1)
    actors, frozen, lora = make_actors(checkpoint, adapter)
    lora = jax.tree.map(lambda leaf: leaf + 0.05, lora)
    loss = jax.jit(Loss(actors, (DPO(),), chunk=4))
    with checkpoint.scope():
        still = loss(lora, frozen, batch, jnp.float32(5))[1]
        first, again, second = (loss(lora, frozen, batch, jnp.float32(5), key=jax.random.key(k))[1] for k in (0, 0, 1))
    assert float(first["logps/chosen"]) == float(again["logps/chosen"])
    assert len({float(metrics["logps/chosen"]) for metrics in (still, first, second)}) == 3
