"""The product with a narrow factor: values and gradients, and how its gradient is multiplied."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from programs import equations, products

from jax_mdpo.lora.thin import thin_product

POSITIONS, WIDE, NARROW = (2, 9), 48, 4
SHAPES = [(WIDE, NARROW), (NARROW, WIDE)]  # of the first factor, of the second


def drawn(shape, dtype=jnp.float32):
    """x, factor and a slope of the output."""
    keys = jax.random.split(jax.random.key(3), 3)
    sizes = ((*POSITIONS, shape[0]), shape, (*POSITIONS, shape[1]))
    x, factor, slope = (jax.random.normal(key, size) for key, size in zip(keys, sizes, strict=True))
    return x.astype(dtype), factor, slope.astype(dtype)


def exact(x, factor, slope):
    """Output and both gradients, in float64."""
    x, factor, slope = (np.asarray(value.astype(jnp.float32), np.float64) for value in (x, factor, slope))
    return x @ factor, slope @ factor.T, np.einsum("btm,btn->mn", x, slope)


@jax.jit
def compiled(x, factor, slope):
    """Output and gradients in one program, as in a step: XLA merges its transpositions and conversions into the products."""
    y, pull = jax.vjp(thin_product, x, factor)
    return y, *pull(slope)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize(("dtype", "bound"), [(jnp.float32, 1e-6), (jnp.bfloat16, 2e-2)])
def test_values_and_gradients(shape, dtype, bound):
    x, factor, slope = drawn(shape, dtype)
    y, of_x, of_factor = compiled(x, factor, slope)
    assert (y.dtype, of_x.dtype, of_factor.dtype) == (dtype, dtype, jnp.float32)
    for found, expected in zip((y, of_x, of_factor), exact(x, factor, slope), strict=True):
        difference = np.asarray(found.astype(jnp.float32)) - expected
        assert np.linalg.norm(difference) <= bound * np.linalg.norm(expected)


def test_the_factor_s_gradient_is_summed_in_float32():
    """Many positions that each add the same: bfloat16 would stop at 256 times one of them."""
    x, slope = jnp.ones((1, 4096, 8), jnp.bfloat16), jnp.ones((1, 4096, 2), jnp.bfloat16)
    _, pull = jax.vjp(thin_product, x, jnp.ones((8, 2)))
    assert (pull(slope)[1] == 4096).all()


@pytest.mark.parametrize("shape", SHAPES)
def test_no_wide_array_is_transposed(shape):
    """Neither by itself nor as the first operand of a product over positions, which XLA would transpose on a CPU."""
    x, factor, slope = drawn(shape)
    jaxpr = jax.make_jaxpr(lambda x, factor, slope: jax.vjp(thin_product, x, factor)[1](slope))(x, factor, slope)
    assert len(list(products(jaxpr.jaxpr))) == 3
    for equation in equations(jaxpr.jaxpr):
        first = equation.invars[0].aval.shape if equation.invars else ()
        if equation.primitive.name == "transpose":
            assert NARROW in first
        if equation.primitive.name == "dot_general" and 0 in equation.params["dimension_numbers"][0][0]:  # sums over positions
            assert first == (*POSITIONS, NARROW)
