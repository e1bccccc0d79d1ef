"""Rows: positions and attention of branches equal those of separate sequences; nothing leaks."""

import jax.numpy as jnp
import numpy as np
import pytest

from jax_mdpo.layers.attention import attend
from jax_mdpo.layers.rows import Rows

# row 0: one pair, padded on the right. Row 1: holes, padding on the left. Row 2: two pairs, the second without a second branch
PREFIX = np.array([[1, 1, 1, 0], [0, 1, 0, 1], [1, 2, 2, 2]])
FIRST = np.array([[1, 1, 0], [1, 1, 1], [1, 1, 2]])
SECOND = np.array([[1, 0, 0], [1, 1, 0], [1, 0, 0]])
ROWS = Rows(jnp.asarray(PREFIX), (jnp.asarray(FIRST), jnp.asarray(SECOND)), pairs=2)


def test_positions_count_real_tokens_on_the_path():
    row, holed, shared = np.asarray(ROWS.positions())
    assert list(row[:3]) == [0, 1, 2] and list(row[4:6]) == [3, 4] and row[7] == 3
    assert [holed[1], holed[3]] == [0, 1] and list(holed[4:7]) == [2, 3, 4] and list(holed[7:9]) == [2, 3]
    assert list(shared[:8]) == [0, 0, 1, 2, 1, 2, 3, 1]
    assert np.asarray(ROWS.positions()).min() == 0


def attention(path: np.ndarray, q, k, v):
    """Causal softmax attention over one real sequence, one query head per key head."""
    out = np.zeros((len(path), *q.shape[1:]))
    for i, query in enumerate(path):
        keys = path[: i + 1]
        for n in range(q.shape[1]):
            scores = k[keys, n // 2] @ q[query, n] / np.sqrt(q.shape[-1])
            weights = np.exp(scores - scores.max())
            out[i, n] = (weights / weights.sum()) @ v[keys, n // 2]
    return out


@pytest.fixture
def drawn():
    rng = np.random.default_rng(1)
    shape = (3, 10, 4, 6)
    q = rng.normal(size=shape).astype(np.float32)
    k, v = (rng.normal(size=(3, 10, 2, 6)).astype(np.float32) for _ in range(2))
    return q, k, v


def run(q, k, v):
    return np.asarray(attend(jnp.asarray(q), jnp.asarray(k), jnp.asarray(v), ROWS))


def test_each_branch_attends_as_its_own_sequence(drawn):
    q, k, v = drawn
    out = run(q, k, v)
    for b, segment in ((0, 1), (1, 1), (2, 1), (2, 2)):
        prefix = np.flatnonzero(PREFIX[b] == segment)
        for start, segments in ((4, FIRST), (7, SECOND)):
            branch = start + np.flatnonzero(segments[b] == segment)
            expected = attention(np.concatenate([prefix, branch]), q[b], k[b], v[b])
            np.testing.assert_allclose(out[b, branch], expected[len(prefix) :], atol=1e-5)
            np.testing.assert_allclose(out[b, prefix], expected[: len(prefix)], atol=1e-5)


def test_nothing_leaks_between_branches_rows_or_from_padding(drawn):
    q, k, v = drawn
    before = run(q, k, v)
    k, v = k.copy(), v.copy()
    k[0, 7:], v[0, 7:] = 50.0, 50.0  # the second branch of row 0
    k[0, 3], v[0, 3] = 50.0, 50.0  # padding of its prefix
    k[2, [0, 4, 5]], v[2, [0, 4, 5]] = 50.0, 50.0  # the first pair of row 2
    after = run(q, k, v)
    np.testing.assert_array_equal(after[0, :3], before[0, :3])
    np.testing.assert_array_equal(after[0, 4:6], before[0, 4:6])
    np.testing.assert_array_equal(after[1], before[1])
    np.testing.assert_array_equal(after[2, [1, 2, 3, 6]], before[2, [1, 2, 3, 6]])
    assert np.all(np.isfinite(after))
