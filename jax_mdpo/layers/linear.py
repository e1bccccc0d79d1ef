"""Matrix products with logical axes. A linear layer may hold its kernel quantised, and may carry an adapter, whose output is added."""

from typing import TypeAlias

import jax
import jax.numpy as jnp
from flax import nnx
from jax.typing import DTypeLike
from jaxtyping import Array, Float, Int

from jax_mdpo.layers.quantised import QuantisedKernel

Kernel: TypeAlias = nnx.Param | QuantisedKernel


class Linear(nnx.Module):
    """y = x · kernel (+ bias) (+ adapter(x)); kernel [in, out] in the dtype that activations have, or quantised."""

    def __init__(
        self,
        inputs: int,
        outputs: int,
        *,
        axes: tuple[str, str],
        rngs: nnx.Rngs,
        dtype: DTypeLike = jnp.float32,
        bias: bool = False,
        stddev: float = 0.02,
        output_dtype: DTypeLike | None = None,
    ):
        """axes: the logical axes of the kernel, input first. output_dtype: of sums and result, by default the activations' own."""
        self.kernel: Kernel = nnx.Param(jax.random.normal(rngs.params(), (inputs, outputs), dtype) * stddev, axes=axes)
        self.bias = nnx.data(nnx.Param(jnp.zeros((outputs,), dtype), axes=axes[1:]) if bias else None)
        self.output_dtype = output_dtype
        self.adapter = nnx.data(None)  # set by the lora floor: any module from [..., in] to [..., out]

    def __call__(self, x: Float[Array, "... inputs"]) -> Float[Array, "... outputs"]:
        y = product(x, self.kernel, self.output_dtype)
        if self.bias is not None:
            y = y + self.bias[...]
        return y if self.adapter is None else y + self.adapter(x)


def product(x: Float[Array, "... inputs"], kernel: Kernel, dtype: DTypeLike | None = None) -> Float[Array, "... outputs"]:
    """x · kernel in `dtype`, by default the activations' own."""
    if isinstance(kernel, QuantisedKernel):
        return kernel.product(x, dtype)
    return jnp.einsum("...i,io->...o", x, kernel[...], preferred_element_type=dtype)


class Embedding(nnx.Module):
    """One row of `weight` [rows, D] per id."""

    def __init__(
        self, rows: int, width: int, *, axes: tuple[str, str], rngs: nnx.Rngs, dtype: DTypeLike = jnp.float32, stddev: float = 0.02
    ):
        self.weight = nnx.Param(jax.random.normal(rngs.params(), (rows, width), dtype) * stddev, axes=axes)

    def __call__(self, ids: Int[Array, "..."]) -> Float[Array, "... D"]:
        return self.weight[...][ids]
