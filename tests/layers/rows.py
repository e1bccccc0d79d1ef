"""Rows with padding and holes on every side, one or several pairs in each; and attention over them, sequence by sequence."""

from collections.abc import Iterator
from dataclasses import dataclass

import jax.numpy as jnp
import numpy as np

from jax_mdpo.layers.rows import Rows

HEADS, KV_HEADS, SIZE = 4, 2, 6


@dataclass(frozen=True)
class Drawn:
    """Segments of a prefix and two branches, [B, length] each."""

    prefix: np.ndarray
    first: np.ndarray
    second: np.ndarray
    pairs: int

    @property
    def rows(self) -> Rows:
        return Rows(jnp.asarray(self.prefix), (jnp.asarray(self.first), jnp.asarray(self.second)), self.pairs)

    @property
    def segments(self) -> np.ndarray:
        return np.concatenate([self.prefix, self.first, self.second], axis=1)

    def paths(self) -> Iterator[tuple[int, np.ndarray]]:
        """(row, places on the sequence axis) of every real sequence prefix → branch."""
        for row, segment in ((row, segment) for row in range(len(self.prefix)) for segment in range(1, self.pairs + 1)):
            start = self.prefix.shape[1]
            for branch in (self.first, self.second):
                prefix, own = (np.flatnonzero(part[row] == segment) for part in (self.prefix, branch))
                yield row, np.concatenate([prefix, start + own])
                start += branch.shape[1]


# row 0: one pair, padded on the right. Row 1: holes, padding on the left. Row 2: two pairs, the second without a second branch
SEVERAL = Drawn(
    np.array([[1, 1, 1, 0], [0, 1, 0, 1], [1, 2, 2, 2]]),
    np.array([[1, 1, 0], [1, 1, 1], [1, 1, 2]]),
    np.array([[1, 0, 0], [1, 1, 0], [1, 0, 0]]),
    pairs=2,
)
ONE = Drawn(
    np.array([[1, 1, 1, 0], [0, 1, 0, 1], [0, 0, 0, 0]]),
    np.array([[1, 1, 0], [0, 1, 1], [0, 1, 1]]),
    np.array([[1, 0, 0], [1, 1, 1], [0, 0, 0]]),
    pairs=1,
)


def tensors(seed: int, length: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Queries, keys and values of three rows."""
    rng = np.random.default_rng(seed)
    heads = (HEADS, KV_HEADS, KV_HEADS)
    return tuple(rng.normal(size=(3, length, count, SIZE)).astype(np.float32) for count in heads)


def attention(path: np.ndarray, q: np.ndarray, k: np.ndarray, v: np.ndarray) -> np.ndarray:
    """Causal softmax attention over one real sequence of one row."""
    out = np.zeros((len(path), *q.shape[1:]))
    for i, query in enumerate(path):
        keys = path[: i + 1]
        for n in range(q.shape[1]):
            scores = k[keys, n // (HEADS // KV_HEADS)] @ q[query, n] / np.sqrt(q.shape[-1])
            weights = np.exp(scores - scores.max())
            out[i, n] = (weights / weights.sum()) @ v[keys, n // (HEADS // KV_HEADS)]
    return out
