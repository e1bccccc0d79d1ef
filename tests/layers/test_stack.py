"""A stack's ways of being run: all compute the same, and each recomputes what its name says."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from programs import products

from jax_mdpo.layers.execution import Execution
from jax_mdpo.layers.remat import KEPT
from jax_mdpo.layers.rope import frequencies
from jax_mdpo.layers.rows import Rows
from jax_mdpo.models.parts.llama import LlamaConfig, LlamaDecoder

SIZES = LlamaConfig(
    width=12, mlp=20, layers=3, heads=2, kv_heads=1, head_size=6, vocabulary=5, wavelengths=frequencies(6, {"rope_theta": 1e4})
)
KERNELS = {(12, 12), (12, 6), (12, 20), (20, 12)}
ROWS = Rows(jnp.ones((2, 4), jnp.int32), (jnp.ones((2, 3), jnp.int32),))
PLAIN = Execution()


def loss(execution: Execution):
    decoder = LlamaDecoder(SIZES, rngs=nnx.Rngs(0), execution=execution)
    graph, state = nnx.split(decoder)

    def of(x, state):
        return jnp.sum(jnp.sin(nnx.merge(graph, state)(x, ROWS)))

    return of, state


@pytest.fixture(scope="module")
def x():
    return jnp.asarray(np.random.default_rng(0).normal(size=(2, 7, 12)), jnp.float32)


@pytest.mark.parametrize(("scan", "remat"), list(itertools.product((True, False), ("none", *KEPT))))
def test_every_way_gives_the_same_gradient(x, scan, remat):
    plain, weights = loss(PLAIN)
    way, _ = loss(Execution(scan=scan, remat=remat))
    expected = jax.grad(plain)(x, weights)
    np.testing.assert_allclose(jax.jit(jax.grad(way))(x, weights), expected, atol=1e-6 * float(jnp.abs(expected).max()))


@pytest.mark.parametrize(("remat", "recomputed"), [("none", 0), ("elementwise", 0), ("mlp", 2), ("full", 6)])
def test_a_policy_recomputes_the_products_that_it_names(x, remat, recomputed):
    """Seven products forwards and seven backwards in a block; the last one, of the MLP, is never wanted again."""
    way, weights = loss(Execution(remat=remat))
    equations = products(jax.make_jaxpr(jax.grad(way))(x, weights).jaxpr)
    with_kernels = sum(any(variable.aval.shape in KERNELS for variable in equation.invars) for equation in equations)
    assert with_kernels == 14 + recomputed
