"""How weights split over fsdp cross a TPU's network, by the TPU's own compiler."""

import importlib.util

import jax
import jax.numpy as jnp
import pytest
from flax import nnx
from jax.sharding import NamedSharding, PartitionSpec

from jax_mdpo.layers.execution import Execution
from jax_mdpo.layers.linear import Linear
from jax_mdpo.layers.stack import Stack
from jax_mdpo.planning.chips import topology
from jax_mdpo.planning.compiled import compiled
from jax_mdpo.planning.hlo import collectives
from jax_mdpo.planning.topologies import tpu_devices
from jax_mdpo.sharding.compiling import COMPILER_OPTIONS
from jax_mdpo.sharding.logical import make_mesh, sharding

pytestmark = pytest.mark.skipif(importlib.util.find_spec("libtpu") is None, reason="the TPU compiler (libtpu) is not installed here")
CHIPS, WIDTH, MLP, LAYERS = 8, 4096, 11008, 4  # a 7B's: XLA treats small weights otherwise


class Block(nnx.Module):
    def __init__(self, rngs):
        made = {"rngs": rngs, "dtype": jnp.bfloat16}
        self.up, self.down = Linear(WIDTH, MLP, axes=("embed", "mlp"), **made), Linear(MLP, WIDTH, axes=("mlp", "embed"), **made)

    def __call__(self, x):
        return x + self.down(jnp.tanh(self.up(x)))


@pytest.fixture(scope="module")
def transfers():
    """Of the gradient in the activations of a stack of such blocks."""
    mesh = make_mesh(fsdp=CHIPS, devices=tpu_devices(topology(f"v6e-{CHIPS}")))
    abstract = nnx.eval_shape(lambda: Stack(Block, LAYERS, rngs=nnx.Rngs(0), execution=Execution(remat="full")))
    graph, shapes = nnx.split(abstract)
    state = jax.tree.map(
        lambda leaf: leaf.replace(jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=sharding(mesh, leaf.axes, leaf.shape))),
        shapes,
        is_leaf=lambda leaf: isinstance(leaf, nnx.Variable),
    )
    x = jax.ShapeDtypeStruct((2 * CHIPS, 896, WIDTH), jnp.bfloat16, sharding=NamedSharding(mesh, PartitionSpec("fsdp")))

    def slope(x, state):
        return jax.grad(lambda x: nnx.merge(graph, state)(x).astype(jnp.float32).sum())(x)

    with jax.set_mesh(mesh):
        found = compiled(jax.jit(slope, compiler_options=dict(COMPILER_OPTIONS["tpu"])).trace(x, state), "tpu")
    return collectives(found.module)


def test_little_but_whole_weights_crosses_and_no_weight_more_often_than_it_is_used(transfers):
    """A layer's weights are used forwards, in the forward pass that is computed again, and backwards; the last two may share them."""
    whole = 2 * WIDTH * MLP * 2 * LAYERS
    sent = sum(one.sent * one.times for one in transfers if one.kind == "all-gather")
    assert 2 * whole * 7 // 8 <= sent <= 3 * whole * 7 // 8
    assert sum(one.sent * one.times for one in transfers if one.kind != "all-gather") < 0.01 * sent


def test_at_least_half_passes_behind_the_work(transfers):
    """Each loop's first gather of a turn has nothing to pass behind here; the compiler's default hides none at all."""
    sent = {hidden: sum(one.sent * one.times for one in transfers if one.hidden is hidden) for hidden in (True, False)}
    assert sent[True] >= sent[False]
