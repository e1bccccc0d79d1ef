"""Weights split over fsdp: what a program gathers, and what it keeps for the backward pass. Traced for a mesh that is not here."""

import jax
import jax.numpy as jnp
import pytest
from flax import nnx
from jax.sharding import AbstractMesh, AxisType
from jax.sharding import PartitionSpec as P
from programs import equations, products

from jax_mdpo.layers.execution import Execution
from jax_mdpo.layers.gathering import gathered
from jax_mdpo.layers.linear import Linear
from jax_mdpo.layers.remat import KEPT
from jax_mdpo.layers.stack import Stack
from jax_mdpo.lora.adapter import Adapter

LAYERS, WIDTH, MLP, RANK = 5, 96, 160, 8
POLICIES = ("none", *KEPT)
SPLIT = {"data": 1, "fsdp": 4, "tensor": 2}


def on(mesh):
    return jax.sharding.use_abstract_mesh(AbstractMesh(tuple(mesh.values()), tuple(mesh), axis_types=(AxisType.Auto,) * 3))


class Block(nnx.Module):
    def __init__(self, rngs):
        self.up = Linear(WIDTH, MLP, axes=("embed", "mlp"), rngs=rngs)
        self.down = Linear(MLP, WIDTH, axes=("mlp", "embed"), rngs=rngs)
        self.up.adapter = Adapter(jnp.ones((WIDTH, RANK)), jnp.ones((RANK, MLP)), jnp.ones(()), axes=("embed", "mlp"))

    def __call__(self, x):
        return x + self.down(jnp.tanh(self.up(x)))


def slopes(remat, mesh):
    """The traced gradient in the activations of a stack whose weights are frozen."""
    stack = Stack(Block, LAYERS, rngs=nnx.Rngs(0), execution=Execution(remat=remat))
    graph, state = nnx.split(stack)
    with on(mesh):
        return jax.make_jaxpr(jax.grad(lambda x, state: nnx.merge(graph, state)(x).sum()))(jnp.ones((2, 3, WIDTH)), state).jaxpr


def constraints(program):
    return [one for one in equations(program) if one.primitive.name == "sharding_constraint"]


def test_weights_are_whole_over_fsdp_and_split_over_tensor_as_before():
    module = Block(nnx.Rngs(0))
    with on(SPLIT):
        found = jax.make_jaxpr(lambda: jax.tree.leaves(nnx.state(gathered(module))))()
    wanted = {(one.outvars[0].aval.shape, one.params["sharding"].spec) for one in constraints(found.jaxpr)}
    assert wanted == {((WIDTH, MLP), P(None, "tensor")), ((MLP, WIDTH), P("tensor", None)), ((WIDTH, RANK), P(None, None))}


@pytest.mark.parametrize("mesh", [{"data": 8, "fsdp": 1, "tensor": 1}, {"data": 1, "fsdp": 1, "tensor": 8}], ids=["data", "tensor"])
def test_nothing_changes_where_fsdp_splits_nothing(mesh):
    module = Block(nnx.Rngs(0))
    with on(mesh):
        assert gathered(module) is module
    assert gathered(module) is module


@pytest.mark.parametrize("remat", POLICIES)
def test_each_layer_gathers_once_a_pass_and_the_whole_weights_are_never_kept(remat):
    program = slopes(remat, SPLIT)
    forwards, backwards = (list(equations(scan.params["jaxpr"].jaxpr)) for scan in scans(program))
    for body in (forwards, backwards):
        whole = [one.outvars[0].aval.shape for one in body if one.primitive.name == "sharding_constraint"]
        assert sorted(whole) == sorted({(WIDTH, MLP), (MLP, WIDTH), (WIDTH, RANK)})
    assert stacked_by(scans(program)[0]).isdisjoint({(LAYERS, WIDTH, MLP), (LAYERS, MLP, WIDTH)})


@pytest.mark.parametrize("remat", POLICIES)
def test_gathering_costs_no_product(remat):
    alone = slopes(remat, {"data": 1, "fsdp": 1, "tensor": 1})
    assert len(list(products(slopes(remat, SPLIT)))) == len(list(products(alone))) > 0


def scans(program):
    return [one for one in equations(program) if one.primitive.name == "scan"]


def stacked_by(scan):
    """Shapes of what a scan writes layer by layer."""
    return {variable.aval.shape for variable in scan.outvars[scan.params["num_carry"] :]}
