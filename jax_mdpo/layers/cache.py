"""What a decoder keeps of the positions that it has read, so that each further token costs one position."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from jax_mdpo.sharding.logical import BATCH, constrain


class KeysValues(NamedTuple):
    """Of new positions, keys rotated: of one layer [B, T, K, H], of all [L, B, T, K, H]."""

    keys: Float[Array, "*L B T K H"]
    values: Float[Array, "*L B T K H"]


class Cache(NamedTuple):
    """Keys and values of all layers, with room for more; all rows write at the same place.

    held: which positions hold a token of their row; padding and what is not written yet do not. end: where the next token goes.
    """

    keys: Float[Array, "L B S K H"]
    values: Float[Array, "L B S K H"]
    held: Bool[Array, "B S"]
    end: Int[Array, ""]

    @classmethod
    def after(cls, read: KeysValues, held: Bool[Array, "B P"], room: int) -> "Cache":
        """The cache of a prompt of P positions, with room for as many tokens."""
        longer = (jnp.pad(x, ((0, 0), (0, 0), (0, room), (0, 0), (0, 0))) for x in read)
        keys, values = (constrain(x, "layers", BATCH, "length", "heads", None) for x in longer)
        return cls(keys, values, jnp.pad(held, ((0, 0), (0, room))), jnp.asarray(held.shape[1], jnp.int32))

    @property
    def positions(self) -> Int[Array, "B 1"]:
        """Of each row's next token: how many it holds."""
        return jnp.sum(self.held, axis=1, keepdims=True, dtype=jnp.int32)

    def with_next(self, read: KeysValues) -> "Cache":
        """With one more token in every row."""
        keys, values = (
            jax.lax.dynamic_update_slice_in_dim(old, new.astype(old.dtype), self.end, axis=2)
            for old, new in ((self.keys, read.keys), (self.values, read.values))
        )
        held = jax.lax.dynamic_update_slice_in_dim(self.held, jnp.ones_like(self.held[:, :1]), self.end, axis=1)
        return Cache(keys, values, held, self.end + 1)

    def rows(self, chosen: Int[Array, " C"]) -> "Cache":
        """The rows `chosen`, in their order."""
        return Cache(self.keys[:, chosen], self.values[:, chosen], self.held[chosen], self.end)
