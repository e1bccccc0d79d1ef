"""Log-probabilities of the targets, a chunk of positions at a time."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from einops import rearrange
from jaxtyping import Array, Float, Int

Head = Callable[[Float[Array, "B C D"]], Float[Array, "B C V"]]
ChunkLogps = Callable[[Float[Array, "B C D"], Int[Array, "B C"]], Float[Array, "B C"]]


def token_logps(
    hidden: Float[Array, "B R D"], targets: Int[Array, "B R"], head: Head, *, chunk: int, learning: bool = False
) -> Float[Array, "B R"]:
    """log softmax(head(hidden))[target] in nats, float32, of every position.

    Logits exist for `chunk` positions of each row at a time, in the forward pass and in the backward pass. Chunks run along the rows,
    so that a sharded batch stays where it is. learning: whether the head itself takes a gradient (an adapter on it); where it is
    frozen, and only there, its logits are never computed twice.
    """
    length = targets.shape[1]
    count = -(-length // chunk)
    padding = count * chunk - length
    chunks = (
        rearrange(jnp.pad(hidden, ((0, 0), (0, padding), (0, 0))), "B (n C) D -> n B C D", n=count),
        rearrange(jnp.pad(targets, ((0, 0), (0, padding))), "B (n C) -> n B C", n=count),
    )
    logps_of = _recomputed(head) if learning else _with_slope(head)
    logps = jax.lax.map(lambda part: logps_of(*part), chunks)
    return rearrange(logps, "n B C -> B (n C)")[:, :length]


def _logps(logits: Float[Array, "B C V"], wanted: Int[Array, "B C"]) -> Float[Array, "B C"]:
    chosen = jnp.take_along_axis(logits, wanted[..., None], axis=-1)[..., 0]
    return chosen - jax.nn.logsumexp(logits, axis=-1)


def _recomputed(head: Head) -> ChunkLogps:
    """The backward pass computes the logits again."""
    return jax.checkpoint(lambda states, wanted: _logps(head(states).astype(jnp.float32), wanted))


def _with_slope(head: Head) -> ChunkLogps:
    """The forward pass of a gradient leaves ∂ logp / ∂ hidden = (onehot(target) − softmax) · headᵀ, [B, C, D], for the backward pass.

    A position's log-prob is one number, so its cotangent only scales that vector: two products with the head in all, the least there
    are, and none that would build a gradient of the head.
    """

    @jax.custom_vjp
    def logps_of(states: Float[Array, "B C D"], wanted: Int[Array, "B C"]) -> Float[Array, "B C"]:
        return _logps(head(states).astype(jnp.float32), wanted)

    def forward(states: Float[Array, "B C D"], wanted: Int[Array, "B C"]) -> tuple[Float[Array, "B C"], Float[Array, "B C D"]]:
        logits, pull = jax.vjp(lambda states: head(states).astype(jnp.float32), states)
        slope = jax.nn.one_hot(wanted, logits.shape[-1], dtype=jnp.float32) - jax.nn.softmax(logits, axis=-1)
        return _logps(logits, wanted), pull(slope)[0]

    def backward(slope: Float[Array, "B C D"], cotangent: Float[Array, "B C"]) -> tuple[Float[Array, "B C D"], None]:
        return (slope * cotangent[..., None]).astype(slope.dtype), None

    logps_of.defvjp(forward, backward)
    return logps_of
