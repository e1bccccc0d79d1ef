"""From the logits of the next token to the token."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, UInt32

from jax_mdpo.generation.settings import Decoding


def choose(logits: Float[Array, "B V"], settings: Decoding, keys: UInt32[Array, "B 2"], count: Int[Array, ""]) -> Int[Array, " B"]:
    """The likeliest token; with a temperature, one that is drawn for the `count`-th place by each row's own key."""
    if settings.temperature is None:
        return jnp.argmax(logits, axis=-1).astype(jnp.int32)
    left = restricted(logits / settings.temperature, settings.top_k, settings.top_p)
    drawn = jax.vmap(lambda key, row: jax.random.categorical(jax.random.fold_in(key, count), row))
    return drawn(jax.random.wrap_key_data(keys, impl="threefry2x32"), left).astype(jnp.int32)


def restricted(logits: Float[Array, "B V"], top_k: int | None, top_p: float | None) -> Float[Array, "B V"]:
    """Logits with −∞ where a token may not be drawn.

    top_k keeps the k likeliest; of what is left, top_p the fewest likeliest whose probabilities reach it together, at least one
    (Holtzman et al. 2020, arXiv 1904.09751).
    """
    if top_k is not None and top_k < logits.shape[-1]:
        least = jax.lax.top_k(logits, top_k)[0][:, -1:]
        logits = jnp.where(logits < least, -jnp.inf, logits)
    if top_p is not None and top_p < 1:
        order = jnp.argsort(-logits, axis=-1)
        ranked = jnp.take_along_axis(logits, order, axis=-1)
        chances = jax.nn.softmax(ranked, axis=-1)
        kept = jnp.cumsum(chances, axis=-1) - chances < top_p
        logits = jnp.where(jnp.take_along_axis(kept, jnp.argsort(order, axis=-1), axis=-1), logits, -jnp.inf)
    return logits
