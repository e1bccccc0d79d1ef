"""Attention in plain XLA, on any platform: per region, with a mask from its segments. Scores exist in memory, head by head."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from jax_mdpo.layers.remat import keep
from jax_mdpo.layers.rows import Rows


def attend(q: Float[Array, "B T N H"], k: Float[Array, "B T K H"], v: Float[Array, "B T K H"], rows: Rows) -> Float[Array, "B T N H"]:
    """The prefix over itself, each branch over prefix and itself."""
    prefix, *branches = rows.regions
    outputs = [_causal(q[:, prefix], k[:, prefix], v[:, prefix], rows.prefix)] if prefix.stop else []
    for own, segments in zip(branches, rows.branches, strict=True):
        keys = jnp.concatenate([k[:, prefix], k[:, own]], axis=1)
        values = jnp.concatenate([v[:, prefix], v[:, own]], axis=1)
        outputs.append(_causal(q[:, own], keys, values, jnp.concatenate([rows.prefix, segments], axis=1)))
    return keep(jnp.concatenate(outputs, axis=1), "attention")


def full(q: Float[Array, "B T N H"], k: Float[Array, "B T K H"], v: Float[Array, "B T K H"]) -> Float[Array, "B T N H"]:
    """Every position over every other."""
    return jax.nn.dot_product_attention(q, k, v)


def _causal(
    q: Float[Array, "B T N H"], k: Float[Array, "B S K H"], v: Float[Array, "B S K H"], segments: Int[Array, "B S"]
) -> Float[Array, "B T N H"]:
    """The T queries are the last T of the S keys' positions; each attends within its segment."""
    queries, keys = q.shape[1], k.shape[1]
    before = jnp.tril(jnp.ones((queries, keys), bool), keys - queries)
    same = segments[:, keys - queries :, None] == segments[:, None, :]
    return jax.nn.dot_product_attention(q, k, v, mask=(before & same)[:, None])
