"""Matrix products with logical axes. A linear layer may hold its kernel quantised, and may carry an adapter, whose output is added."""

from collections.abc import Sequence
from functools import partial
from typing import Any, Protocol, TypeAlias

import jax
import jax.numpy as jnp
from flax import nnx
from jax.typing import DTypeLike
from jaxtyping import Array, Float, Int

from jax_mdpo.layers.quantised import QuantisedKernel

Kernel: TypeAlias = nnx.Param | QuantisedKernel


class Added(Protocol):
    """What is added to a layer's output."""

    def __call__(self, x: Float[Array, "... inputs"]) -> Float[Array, "... outputs"]: ...

    def beside(self, others: Sequence[Any], x: Float[Array, "... inputs"]) -> list[Float[Array, "... outputs"]]:
        """What this one and the others, of layers over the same input, add to each."""
        ...


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
        self.adapter: Added | None = nnx.data(None)  # set by the lora floor

    def __call__(self, x: Float[Array, "... inputs"]) -> Float[Array, "... outputs"]:
        return side_by_side(x, self)[0]

    def _base(self, x: Float[Array, "... inputs"]) -> Float[Array, "... outputs"]:
        y = product(x, self.kernel, self.output_dtype)
        return y if self.bias is None else y + self.bias[...]


def side_by_side(x: Float[Array, "... inputs"], *layers: Linear) -> list[Float[Array, "... outputs"]]:
    """The outputs of several layers over one input, whose adapters read it together."""
    found = [layer._base(x) for layer in layers]
    adapted = {i: layer.adapter for i, layer in enumerate(layers) if layer.adapter is not None}
    if adapted:
        first, *others = adapted.values()
        for i, added in zip(adapted, first.beside(others, x), strict=True):
            found[i] = found[i] + added
    return found


def product(x: Float[Array, "... inputs"], kernel: Kernel, dtype: DTypeLike | None = None) -> Float[Array, "... outputs"]:
    """x · kernel in `dtype`, by default the activations' own."""
    if isinstance(kernel, QuantisedKernel):
        return kernel.product(x, dtype)
    return multiplied(x, kernel[...], jnp.dtype(dtype or x.dtype))


def multiplied(x: Float[Array, "... inputs"], kernel: Float[Array, "inputs outputs"], dtype: DTypeLike) -> Float[Array, "... outputs"]:
    """x · kernel in `dtype`, which may be wider than theirs."""
    return jnp.einsum("...i,io->...o", x, kernel) if dtype == x.dtype else _widened(x, kernel, jnp.dtype(dtype))


@partial(jax.custom_vjp, nondiff_argnums=(2,))
def _widened(x: Float[Array, "... inputs"], kernel: Float[Array, "inputs outputs"], dtype: Any) -> Float[Array, "... outputs"]:
    """x · kernel, its sums in a wider dtype than theirs.

    Slopes come back in the operands' dtype: jax's own rule would multiply them, and the whole kernel, in the wide one, which an
    accelerator does many times slower.
    """
    return jnp.einsum("...i,io->...o", x, kernel, preferred_element_type=dtype)


def _widened_forward(x: Any, kernel: Any, dtype: Any) -> tuple[Array, tuple[Array, Array | None]]:
    return _widened(x.value, kernel.value, dtype), (kernel.value, x.value if kernel.perturbed else None)


def _widened_backward(dtype: Any, kept: tuple[Array, Array | None], slope: Float[Array, "... outputs"]) -> tuple[Array, Array | None]:
    kernel, x = kept
    slope = slope.astype(kernel.dtype)
    back = jnp.einsum("...o,io->...i", slope, kernel)
    return back, None if x is None else jnp.einsum("...i,...o->io", x, slope)


_widened.defvjp(_widened_forward, _widened_backward, symbolic_zeros=True)


class Embedding(nnx.Module):
    """One row of `weight` [rows, D] per id."""

    def __init__(
        self, rows: int, width: int, *, axes: tuple[str, str], rngs: nnx.Rngs, dtype: DTypeLike = jnp.float32, stddev: float = 0.02
    ):
        self.weight = nnx.Param(jax.random.normal(rngs.params(), (rows, width), dtype) * stddev, axes=axes)

    def __call__(self, ids: Int[Array, "..."]) -> Float[Array, "... D"]:
        return self.weight[...][ids]
