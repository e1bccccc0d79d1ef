"""Attention in plain XLA, on any platform: per region, with a mask from its segments. Scores exist in memory, head by head."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from einops import rearrange
from jaxtyping import Array, Bool, Float, Int

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
    grouped = rearrange(q, "B T (K G) H -> B T K G H", K=k.shape[2])
    return rearrange(_masked(grouped, k, v, before & same), "B T K G H -> B T (K G) H")


@jax.custom_vjp
def _masked(
    q: Float[Array, "B T K G H"], k: Float[Array, "B S K H"], v: Float[Array, "B S K H"], seen: Bool[Array, "B T S"]
) -> Float[Array, "B T K G H"]:
    """Each query over the keys it sees; one that sees none, at padding, over all alike.

    The backward pass is written out because XLA on a CPU spends more time on the one it would be given than on the products: a
    reduction over all scores, for which output · slope serves as well (as in FlashAttention: Dao et al. 2022, arXiv 2205.14135,
    appendix B.2), and a transposition of all scores, which a product that starts with the queries does without.
    """
    return _forward(q, k, v, seen)[0]


class _Kept(NamedTuple):
    """What the backward pass needs. weights: of the keys, of each query."""

    q: Float[Array, "B T K G H"]
    k: Float[Array, "B S K H"]
    v: Float[Array, "B S K H"]
    weights: Float[Array, "B K G T S"]
    attended: Float[Array, "B T K G H"]


def _forward(q: Array, k: Array, v: Array, seen: Array) -> tuple[Array, _Kept]:
    scores = jnp.einsum("btkgh,bskh->bkgts", q, k, preferred_element_type=jnp.float32) * q.shape[-1] ** -0.5
    hidden = jnp.finfo(jnp.float32).min / 2  # finite: a query that sees nothing has weights all the same
    weights = jax.nn.softmax(jnp.where(seen[:, None, None], scores, hidden), axis=-1).astype(v.dtype)
    attended = jnp.einsum("bkgts,bskh->btkgh", weights, v)
    return attended, _Kept(q, k, v, weights, attended)


def _backward(kept: _Kept, slope: Float[Array, "B T K G H"]) -> tuple[Array, Array, Array, None]:
    q, k, v, weights, attended = kept
    narrow, wide = q.dtype, jnp.float32
    mean = rearrange(jnp.sum(slope.astype(wide) * attended.astype(wide), axis=-1), "B T K G -> B K G T")
    by_weight = jnp.einsum("btkgh,bskh->bkgts", slope, v, preferred_element_type=wide)
    by_score = (weights.astype(wide) * (by_weight - mean[..., None]) * q.shape[-1] ** -0.5).astype(narrow)
    of_q = jnp.einsum("bkgts,bskh->btkgh", by_score, k)
    of_k, of_v = (rearrange(jnp.einsum("btkgh,bkgts->bkhs", x, y), "B K H S -> B S K H") for x, y in ((q, by_score), (slope, weights)))
    return of_q, of_k, of_v, None


_masked.defvjp(_forward, _backward)
