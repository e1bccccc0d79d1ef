"""Attention over rows. No array of length × length elements is handed in; masks are made per segment from the row's shape."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from jax_mdpo.layers.rows import Rows


def attend(q: Float[Array, "B T N H"], k: Float[Array, "B T K H"], v: Float[Array, "B T K H"], rows: Rows) -> Float[Array, "B T N H"]:
    """Causal attention along each path prefix → branch: a prefix over itself, each branch over its prefix and itself.

    Query heads share key-value heads in groups of N / K. Softmax in float32, scale 1 / sqrt(H). Outputs at padding are meaningless.
    """
    prefix, *branches = rows.regions
    outputs = [_causal(q[:, prefix], k[:, prefix], v[:, prefix], rows.prefix)] if prefix.stop else []
    for own, segments in zip(branches, rows.branches, strict=True):
        keys = jnp.concatenate([k[:, prefix], k[:, own]], axis=1)
        values = jnp.concatenate([v[:, prefix], v[:, own]], axis=1)
        outputs.append(_causal(q[:, own], keys, values, jnp.concatenate([rows.prefix, segments], axis=1)))
    return jnp.concatenate(outputs, axis=1)


def _causal(
    q: Float[Array, "B T N H"], k: Float[Array, "B S K H"], v: Float[Array, "B S K H"], segments: Int[Array, "B S"]
) -> Float[Array, "B T N H"]:
    """The T queries are the last T of the S keys' positions; each attends within its segment."""
    queries, keys = q.shape[1], k.shape[1]
    before = jnp.tril(jnp.ones((queries, keys), bool), keys - queries)
    same = segments[:, keys - queries :, None] == segments[:, None, :]
    return jax.nn.dot_product_attention(q, k, v, mask=(before & same)[:, None])
