"""The shape of a decoder row: a prefix, and branches that continue it without seeing each other."""

from typing import NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Bool, Int


class Rows(NamedTuple):
    """Which positions hold real tokens. Along the sequence axis the prefix comes first, then the branches in order.

    A False inside the prefix is a hole: nothing attends to it and it takes no position, so padding may stand on either side and an
    image can be left out by masking its tokens.
    """

    prefix: Bool[Array, "B P"]
    branches: tuple[Bool[Array, "B R"], ...] = ()

    @property
    def segments(self) -> tuple[slice, ...]:
        """Where the prefix and each branch stand on the sequence axis."""
        ends = [self.prefix.shape[1]]
        for branch in self.branches:
            ends.append(ends[-1] + branch.shape[1])
        return tuple(slice(start, end) for start, end in zip([0, *ends], ends, strict=False))

    def positions(self) -> Int[Array, "B T"]:
        """For each token the number of real tokens before it on its path, from zero; padding repeats a neighbour's."""
        prefix = jnp.cumsum(self.prefix, axis=1) - 1
        length = jnp.sum(self.prefix, axis=1, keepdims=True)
        branches = [length + jnp.cumsum(branch, axis=1) - 1 for branch in self.branches]
        return jnp.maximum(jnp.concatenate([prefix, *branches], axis=1), 0)
