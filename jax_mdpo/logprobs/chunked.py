"""Log-probabilities of the targets, a chunk of positions at a time."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from einops import rearrange
from jaxtyping import Array, Float, Int

Head = Callable[[Float[Array, "B C D"]], Float[Array, "B C V"]]


def token_logps(hidden: Float[Array, "B R D"], targets: Int[Array, "B R"], head: Head, *, chunk: int) -> Float[Array, "B R"]:
    """log softmax(head(hidden))[target] in nats, float32, of every position.

    Logits exist for `chunk` positions of each row at a time, in the forward pass and, computed again, in the backward pass. Chunks
    run along the rows, so that a sharded batch stays where it is.
    """
    length = targets.shape[1]
    count = -(-length // chunk)
    padding = count * chunk - length
    chunks = (
        rearrange(jnp.pad(hidden, ((0, 0), (0, padding), (0, 0))), "B (n C) D -> n B C D", n=count),
        rearrange(jnp.pad(targets, ((0, 0), (0, padding))), "B (n C) -> n B C", n=count),
    )

    @jax.checkpoint
    def one(part: tuple[Float[Array, "B C D"], Int[Array, "B C"]]) -> Float[Array, "B C"]:
        states, wanted = part
        logits = head(states).astype(jnp.float32)
        chosen = jnp.take_along_axis(logits, wanted[..., None], axis=-1)[..., 0]
        return chosen - jax.nn.logsumexp(logits, axis=-1)

    logps = jax.lax.map(one, chunks)
    return rearrange(logps, "n B C -> B (n C)")[:, :length]
