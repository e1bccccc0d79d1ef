"""The adapter module: a low-rank product added to a linear layer's output (Hu et al. 2021, arXiv 2106.09685)."""

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float, UInt32

from jax_mdpo.layers.remat import keep


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
        if self.keys is not None and self.dropout > 0:
            kept = jax.random.bernoulli(jax.random.wrap_key_data(self.keys[...]), 1 - self.dropout, x.shape)
            x = jnp.where(kept, x / (1 - self.dropout), 0)
        inner = keep(jnp.einsum("...i,ir->...r", x, self.a[...].astype(x.dtype)), "adapter")
        outer = jnp.einsum("...r,ro->...o", inner, self.b[...].astype(x.dtype))
        return outer * self.scale[...].astype(x.dtype)
