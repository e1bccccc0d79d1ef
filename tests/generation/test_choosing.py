"""Which tokens may be drawn, and how often."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jax_mdpo.generation.choosing import choose, restricted
from jax_mdpo.generation.settings import Decoding

CHANCES = np.float32([[0.15, 0.5, 0.05, 0.3], [0.25, 0.25, 0.25, 0.25]])


def allowed(top_k=None, top_p=None):
    return np.isfinite(restricted(jnp.log(CHANCES), top_k, top_p)).tolist()


@pytest.mark.parametrize(
    ("top_k", "top_p", "first"),
    [
        (None, None, [True, True, True, True]),
        (2, None, [False, True, False, True]),
        (9, None, [True, True, True, True]),
        (None, 0.4, [False, True, False, False]),  # 0.5 reaches 0.4 alone
        (None, 0.79, [False, True, False, True]),  # 0.5 + 0.3
        (None, 0.81, [True, True, False, True]),
        (None, 0.001, [False, True, False, False]),  # never none
        (2, 0.6, [False, True, False, False]),  # of the two that are left, 0.5 / 0.8 = 0.625 alone
    ],
)
def test_restrictions(top_k, top_p, first):
    assert allowed(top_k, top_p)[0] == first


def test_top_p_of_equal_chances_takes_as_few_as_reach_it():
    assert sum(allowed(top_p=0.6)[1]) == 3


def test_restrictions_are_transformers():
    torch = pytest.importorskip("torch", reason="torch's CPU build exists for Python 3.11 only")
    from transformers import TopKLogitsWarper, TopPLogitsWarper

    logits = np.random.default_rng(0).normal(0, 2, (20, 99)).astype(np.float32)
    theirs = TopPLogitsWarper(0.8)(None, TopKLogitsWarper(30)(None, torch.tensor(logits))).numpy()
    np.testing.assert_array_equal(np.asarray(restricted(jnp.asarray(logits), 30, 0.8)), theirs)


def test_draws_follow_the_chances_and_the_temperature():
    rows, settings = 4000, Decoding(temperature=0.5, seed=1)
    keys = jnp.asarray(np.random.default_rng(0).integers(0, 2**32, (rows, 2), dtype=np.uint32))
    logits = jnp.broadcast_to(jnp.log(CHANCES[0]), (rows, 4))
    drawn = np.asarray(choose(logits, settings, keys, jnp.int32(3)))
    expected = CHANCES[0] ** 2 / np.sum(CHANCES[0] ** 2)  # softmax(log p / 0.5)
    errors = np.sqrt(expected * (1 - expected) / rows)
    assert (np.abs(np.bincount(drawn, minlength=4) / rows - expected) < 4 * errors).all()
    assert (np.asarray(choose(logits, settings, keys, jnp.int32(4))) != drawn).any(), "another place draws anew"
    assert (np.asarray(choose(logits[:7], settings, keys[:7], jnp.int32(3))) == drawn[:7]).all(), "a row's draw is its own"


def test_greedy_takes_the_likeliest():
    keys = jnp.zeros((2, 2), jnp.uint32)
    assert jax.jit(lambda: choose(jnp.float32([[0, 3, 2], [5, 3, 2]]), Decoding(), keys, jnp.int32(0)))().tolist() == [1, 0]
