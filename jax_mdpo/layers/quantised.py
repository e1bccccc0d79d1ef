"""Kernels held in fewer bits, and their product with activations in the activations' own dtype.

A kernel is dequantised inside the layer that multiplies with it, for the forward pass and again for the backward pass: what is kept
between the two are its codes and scales. No gradient flows to it.
"""

from functools import partial, reduce
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from einops import rearrange
from flax import nnx
from jax.typing import DTypeLike
from jaxtyping import Array, Float, UInt8

from jax_mdpo.weights.quantising import INT8, NF4_VALUES, Format, Parts


class QuantisedKernel(nnx.Module):
    """A kernel [in, out], or a stack of them, as codes and scales."""

    def __init__(self, like: nnx.Param, format: Format):
        """Zeros, of the kernel's shape and logical axes: what loading fills, or shapes under eval_shape."""
        *stack, self.inputs, outputs = like.shape
        shapes = format.shapes(self.inputs, outputs)
        self.codes = nnx.Param(jnp.zeros((*stack, *shapes.codes), format.dtype), axes=like.axes)
        self.scale = nnx.Param(jnp.zeros((*stack, *shapes.scale), jnp.float32), axes=like.axes)
        self.axes = like.axes
        self.format = format

    @property
    def shape(self) -> tuple[int, ...]:
        """That of the kernel which this stands for."""
        *stack, _, outputs = self.codes.shape
        return (*stack, self.inputs, outputs)

    def product(self, x: Float[Array, "... inputs"], dtype: DTypeLike | None) -> Float[Array, "... outputs"]:
        """x · kernel in `dtype`, by default x's own."""
        return _product(x, Parts(self.codes[...], self.scale[...]), self.format, jnp.dtype(dtype or x.dtype), x.dtype)


def quantise(model: nnx.Module, path: str, format: Format) -> None:
    """Puts a quantised kernel in the place of the one at `path` ("….q_proj.kernel"); its values are not taken over."""
    *way, name = path.split(".")
    layer: Any = reduce(getattr, way, model)
    setattr(layer, name, QuantisedKernel(getattr(layer, name), format))


@partial(jax.custom_vjp, nondiff_argnums=(2, 3, 4))
def _product(x: Float[Array, "... inputs"], parts: Parts, format: Format, out: Any, given: Any) -> Float[Array, "... outputs"]:
    """x · kernel. given: x's dtype. Whole numbers are exact in every float dtype, so int8's scales wait for the sums, in float32."""
    if format is INT8:
        sums = jnp.einsum("...i,io->...o", x, parts.codes.astype(given), preferred_element_type=jnp.float32)
        return (sums * parts.scale[0]).astype(out)
    return jnp.einsum("...i,io->...o", x, dequantised(parts, format, x.shape[-1], given), preferred_element_type=out)


def _forward(x: Float[Array, "... inputs"], parts: Parts, format: Format, out: Any, given: Any) -> tuple[Array, tuple[Parts, int]]:
    return _product(x, parts, format, out, given), (parts, x.shape[-1])


def _backward(format: Format, out: Any, given: Any, kept: tuple[Parts, int], slope: Float[Array, "... outputs"]) -> tuple[Array, None]:
    # the scales go to the kernel here, also int8's: multiplied with a slope they could leave float16's range
    parts, inputs = kept
    return jnp.einsum("...o,io->...i", slope.astype(given), dequantised(parts, format, inputs, given)), None


_product.defvjp(_forward, _backward)


def dequantised(parts: Parts, format: Format, inputs: int, dtype: DTypeLike) -> Float[Array, "inputs outputs"]:
    """The kernel that the parts stand for: values and scales multiplied in float32, rounded once."""
    values = parts.codes.astype(jnp.float32) if format is INT8 else _nf4_values(_halves(parts.codes)[:inputs])
    scale = jnp.repeat(parts.scale, format.block or inputs, axis=0)[:inputs]
    return (values * scale).astype(dtype)


def _halves(packed: UInt8[Array, "half outputs"]) -> UInt8[Array, "inputs outputs"]:
    both = packed[:, None, :] >> jnp.array([0, 4], jnp.uint8)[:, None] & 15
    return rearrange(both, "i two o -> (i two) o")


def _nf4_values(codes: UInt8[Array, "inputs outputs"]) -> Float[Array, "inputs outputs"]:
    """The table's values: looked up where memory answers every lane at once, chosen by comparison on a TPU, where it does not."""
    return jax.lax.platform_dependent(codes, tpu=chosen, default=looked_up)


def chosen(codes: UInt8[Array, "inputs outputs"]) -> Float[Array, "inputs outputs"]:
    """The NF4 value of each code, as an exact sum of which all terms but one are zero.

    A selection among arrays would need one full of each value, which a scan over layers moves out of its loop and keeps.
    """
    return sum((codes == code) * np.float32(value) for code, value in enumerate(NF4_VALUES))


def looked_up(codes: UInt8[Array, "inputs outputs"]) -> Float[Array, "inputs outputs"]:
    """The NF4 value of each code, from the table in memory."""
    return jnp.array(NF4_VALUES, jnp.float32).at[codes].get(mode="promise_in_bounds")
