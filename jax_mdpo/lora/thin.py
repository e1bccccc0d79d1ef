"""The product with an adapter's factor: a float32 matrix one side of which is narrow."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float


@jax.custom_vjp
def thin_product(x: Float[Array, "... m"], factor: Float[Array, "m n"]) -> Float[Array, "... n"]:
    """x · factor, multiplied in x's dtype.

    The product for the factor's gradient starts with the narrower of the two operands: jax's rule starts with the slope, and where
    that is the wide one XLA transposes it on a CPU, which takes several times as long as the product.
    """
    return jnp.einsum("...m,mn->...n", x, factor.astype(x.dtype))


def _forward(x: Float[Array, "... m"], factor: Float[Array, "m n"]) -> tuple[Array, tuple[Array, Array]]:
    return thin_product(x, factor), (x, factor)


def _backward(kept: tuple[Array, Array], slope: Float[Array, "... n"]) -> tuple[Array, Array]:
    x, factor = kept
    back = jnp.einsum("...n,mn->...m", slope, factor.astype(slope.dtype))
    gradient = _over_positions(x, slope) if x.shape[-1] < slope.shape[-1] else _over_positions(slope, x).T
    return back, gradient.astype(factor.dtype)


def _over_positions(first: Float[Array, "... p"], second: Float[Array, "... q"]) -> Float[Array, "p q"]:
    positions = tuple(range(first.ndim - 1))
    return jax.lax.dot_general(first, second, ((positions, positions), ((), ())))


thin_product.defvjp(_forward, _backward)
