"""What a corruption is: something done to normalised pixels, or to the image's tokens, between the data and the decoder."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float


class Corruption:
    """A frozen dataclass of its settings overrides what it changes. Its key depends on the seed, the record's id and the epoch."""

    def pixels(self, pixels: Float[Array, "h w C"], key: jax.Array) -> Float[Array, "h w C"]:
        """The tower's input, normalised, float32."""
        return pixels

    def visible(self, count: int, key: jax.Array) -> Bool[Array, " F"]:
        """Which of the image's `count` tokens the decoder sees. Nothing attends to a hidden one, and it takes no position."""
        return jnp.ones(count, bool)
