"""A product whose sums are wider than its operands: the output head's in bfloat16."""

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from programs import products

from jax_mdpo.layers.linear import Linear

KEYS = jax.random.split(jax.random.key(5), 3)
X = jax.random.normal(KEYS[0], (2, 3, 16), jnp.bfloat16)
KERNEL = jax.random.normal(KEYS[1], (16, 40), jnp.bfloat16)
SLOPE = jax.random.normal(KEYS[2], (2, 3, 40))


def head(x, kernel):
    layer = Linear(16, 40, axes=("embed", "vocab"), rngs=nnx.Rngs(0), dtype=jnp.bfloat16, output_dtype=jnp.float32)
    layer.kernel[...] = kernel
    return layer(x)


def test_sums_are_float32_and_gradients_those_of_the_operands():
    y, pull = jax.vjp(head, X, KERNEL)
    of_x, of_kernel = pull(SLOPE)
    assert (y.dtype, of_x.dtype, of_kernel.dtype) == (jnp.float32, jnp.bfloat16, jnp.bfloat16)
    x, kernel, slope = (np.asarray(value.astype(jnp.float32), np.float64) for value in (X, KERNEL, SLOPE))
    np.testing.assert_allclose(y, x @ kernel, rtol=1e-5, atol=1e-5)
    for found, expected in ((of_x, slope @ kernel.T), (of_kernel, np.einsum("bti,bto->io", x, slope))):
        difference = np.asarray(found.astype(jnp.float32)) - expected
        assert np.linalg.norm(difference) <= 1e-2 * np.linalg.norm(expected)  # eight bits of mantissa in slope and result


def test_the_kernel_is_multiplied_in_its_own_dtype_both_ways_and_has_no_gradient_where_none_is_asked():
    jaxpr = jax.make_jaxpr(lambda x, slope: jax.vjp(lambda x: head(x, KERNEL), x)[1](slope))(X, SLOPE)
    found = list(products(jaxpr.jaxpr))
    assert len(found) == 2
    assert {operand.aval.dtype for equation in found for operand in equation.invars} == {jnp.dtype(jnp.bfloat16)}
