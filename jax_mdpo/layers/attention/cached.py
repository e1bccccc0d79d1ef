"""Attention of one new position over what a cache holds and over itself, in plain XLA: it is bound by reading the cache."""

import jax
import jax.numpy as jnp
from einops import rearrange
from jaxtyping import Array, Bool, Float


def attend_cached(
    q: Float[Array, "B 1 N H"],
    k: Float[Array, "B 1 K H"],
    v: Float[Array, "B 1 K H"],
    keys: Float[Array, "B S K H"],
    values: Float[Array, "B S K H"],
    held: Bool[Array, "B S"],
) -> Float[Array, "B 1 N H"]:
    """The new position's own key and value stand apart, so that the cache is read and not copied. Otherwise as `attend`."""
    grouped = rearrange(q, "B T (K G) H -> B T K G H", K=k.shape[2])
    before = jnp.einsum("btkgh,bskh->bkgts", grouped, keys, preferred_element_type=jnp.float32)
    own = jnp.einsum("btkgh,bskh->bkgts", grouped, k, preferred_element_type=jnp.float32)
    before = jnp.where(held[:, None, None, None, :], before, -jnp.inf)
    weights = jax.nn.softmax(jnp.concatenate([before, own], axis=-1) * q.shape[-1] ** -0.5, axis=-1).astype(v.dtype)
    attended = jnp.einsum("bkgts,bskh->btkgh", weights[..., :-1], values) + jnp.einsum("bkgts,bskh->btkgh", weights[..., -1:], v)
    return rearrange(attended, "B T K G H -> B T (K G) H")
