"""The adapter module: a low-rank product added to a linear layer's output (Hu et al. 2021, arXiv 2106.09685)."""

from collections.abc import Sequence
from itertools import accumulate

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float, UInt32

from jax_mdpo.layers.remat import keep
from jax_mdpo.lora.thin import thin_product


class LoRAParam(nnx.Variable):
    """A factor of an adapter: the only kind of leaf that is differentiated and optimised."""


class LoRAConstant(nnx.Variable):
    """What an adapter needs besides its factors: the scale, and the key of its dropout."""


class Adapter(nnx.Module):
    """y = scale · (dropout(x) · a) · b, with a [in, r] and b [r, out] in float32, multiplied in the activations' dtype.

    On a stack every leaf has the layer axis in front. A layer with a smaller rank, or none, holds zeros beyond it in both factors:
    their gradients are then exactly zero, and so is what an optimiser makes of them.
    """

    def __init__(
        self,
        a: Float[Array, "*L inputs r"],
        b: Float[Array, "*L r outputs"],
        scale: Float[Array, "*L"],
        *,
        axes: tuple[str, str],
        dropout: float = 0.0,
        keys: UInt32[Array, "*L words"] | None = None,
    ):
        """axes: the kernel's logical axes. keys: dropout's random keys as raw words, one per layer; without them nothing is dropped."""
        self.a = LoRAParam(a, axes=(axes[0], "rank"))
        self.b = LoRAParam(b, axes=("rank", axes[1]))
        self.scale = LoRAConstant(scale, axes=())
        self.keys = nnx.data(None if keys is None else LoRAConstant(keys, axes=()))
        self.dropout = dropout

    def __call__(self, x: Float[Array, "... inputs"]) -> Float[Array, "... outputs"]:
        return self.beside((), x)[0]

    def beside(self, others: Sequence["Adapter"], x: Float[Array, "... inputs"]) -> list[Float[Array, "... outputs"]]:
        """What this adapter and others, on layers with the same input, add to each.

        A product with narrow factors takes as long as reading x takes: with the factors side by side it is read once for all of
        them, and so is what the backward pass reads and adds up. Adapters that drop parts of x, each its own, go one by one.
        """
        adapters = (self, *others)
        if any(adapter._drops for adapter in adapters):
            return [adapter._outer(_inner([adapter], adapter._dropped(x))[0]) for adapter in adapters]
        return [adapter._outer(inner) for adapter, inner in zip(adapters, _inner(adapters, x), strict=True)]

    @property
    def _drops(self) -> bool:
        return self.keys is not None and self.dropout > 0

    def _dropped(self, x: Float[Array, "... inputs"]) -> Float[Array, "... inputs"]:
        if not self._drops:
            return x
        kept = jax.random.bernoulli(jax.random.wrap_key_data(self.keys[...]), 1 - self.dropout, x.shape)
        return jnp.where(kept, x / (1 - self.dropout), 0)

    def _outer(self, inner: Float[Array, "... r"]) -> Float[Array, "... outputs"]:
        b = self.b[...] * self.scale[...]  # on the factor: over the output the scale would take a pass forwards and one backwards
        return thin_product(inner, b)


def _inner(adapters: Sequence[Adapter], x: Float[Array, "... inputs"]) -> list[Float[Array, "... r"]]:
    """x · a of each."""
    factors = [adapter.a[...] for adapter in adapters]
    ends = list(accumulate(factor.shape[-1] for factor in factors))
    return jnp.split(keep(thin_product(x, jnp.concatenate(factors, axis=-1)), "adapter"), ends[:-1], axis=-1)
