"""Normalisation, computed in float32 whatever the activations' dtype."""

import jax
import jax.numpy as jnp
from flax import nnx
from jax.typing import DTypeLike
from jaxtyping import Array, Float


class RMSNorm(nnx.Module):
    """x / sqrt(mean(x²) + eps) · weight, as in LLaMA: cast back to the activations' dtype before the weight."""

    def __init__(self, width: int, *, eps: float, dtype: DTypeLike = jnp.float32):
        self.weight = nnx.Param(jnp.ones((width,), dtype), axes=("norm",))
        self.eps = eps

    def __call__(self, x: Float[Array, "... D"]) -> Float[Array, "... D"]:
        wide = x.astype(jnp.float32)
        scale = jax.lax.rsqrt(jnp.mean(jnp.square(wide), axis=-1, keepdims=True) + self.eps)
        return (wide * scale).astype(x.dtype) * self.weight[...]


class LayerNorm(nnx.Module):
    """(x − mean) / sqrt(variance + eps) · weight + bias."""

    def __init__(self, width: int, *, eps: float, dtype: DTypeLike = jnp.float32):
        self.weight = nnx.Param(jnp.ones((width,), dtype), axes=("norm",))
        self.bias = nnx.Param(jnp.zeros((width,), dtype), axes=("norm",))
        self.eps = eps

    def __call__(self, x: Float[Array, "... D"]) -> Float[Array, "... D"]:
        wide = x.astype(jnp.float32)
        centred = wide - jnp.mean(wide, axis=-1, keepdims=True)
        scale = jax.lax.rsqrt(jnp.mean(jnp.square(centred), axis=-1, keepdims=True) + self.eps)
        return (centred * scale * self.weight[...].astype(jnp.float32) + self.bias[...].astype(jnp.float32)).astype(x.dtype)
