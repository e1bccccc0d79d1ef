"""The shape of decoder rows: prefixes, and branches that continue them without seeing each other."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Int


class Rows(NamedTuple):
    """Whose each position is. Along the sequence axis the prefixes come first, then the first branches, then the second, ….

    A position of segment s > 0 belongs to the row's s-th pair, 0 to none. A branch sees the prefix of its own segment
    and itself. Within a region a segment's positions keep their order; they need not touch: nothing attends to a hole and it takes
    no position, so padding may stand on any side and an image can be left out by giving its tokens no segment.
    pairs: how many segments a row has at most.
    """

    prefix: Int[Array, "B P"]
    branches: tuple[Int[Array, "B R"], ...] = ()
    pairs: int = 1

    @property
    def regions(self) -> tuple[slice, ...]:
        """Where the prefixes and each branch stand on the sequence axis."""
        ends = [self.prefix.shape[1]]
        for branch in self.branches:
            ends.append(ends[-1] + branch.shape[1])
        return tuple(slice(start, end) for start, end in zip([0, *ends], ends, strict=False))

    @property
    def segments(self) -> Int[Array, "B T"]:
        """Of the whole sequence axis."""
        return jnp.concatenate([self.prefix, *self.branches], axis=1)

    def positions(self) -> Int[Array, "B T"]:
        """For each token the number of real tokens before it on its path, from zero; padding's are meaningless, but not negative."""
        ranks, lengths = self._ranks(self.prefix)
        before = jnp.pad(lengths, ((0, 0), (1, 0)))  # padding continues nothing
        branches = [self._ranks(branch)[0] + jnp.take_along_axis(before, branch, axis=1) for branch in self.branches]
        return jnp.concatenate([ranks, *branches], axis=1)

    def _ranks(self, segments: Int[Array, "B S"]) -> tuple[Int[Array, "B S"], Int[Array, "B K"]]:
        """Each position's number within its segment, and how many positions each segment has."""
        member = jax.nn.one_hot(segments - 1, self.pairs, dtype=jnp.int32)
        return jnp.sum((jnp.cumsum(member, axis=1) - 1) * member, axis=2), jnp.sum(member, axis=1)
