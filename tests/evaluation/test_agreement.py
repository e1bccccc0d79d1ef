"""Intervals and agreement against worked examples from the literature, and against what must hold of them."""

import math

import pytest

from jax_mdpo.evaluation.agreement import agreement, cohen_kappa, fleiss_kappa, wilson


@pytest.mark.parametrize(("wins", "count"), [(7, 10), (0, 4), (5, 5), (30, 61)])
def test_wilson_s_bounds_are_where_the_normal_test_just_rejects(wins, count):
    """Each bound p solves |wins / count − p| = z √(p (1 − p) / count): the equation that the interval is derived from."""
    share = wins / count
    for bound in wilson(share, count):
        assert abs(share - bound) == pytest.approx(1.959964 * math.sqrt(bound * (1 - bound) / count), abs=1e-7)
    low, high = wilson(share, count)
    assert 0 <= low <= share <= high <= 1 and high > low


def test_wilson_of_ten_of_ten():
    """1 / (1 + z² / n) is its lower bound where all are won."""
    assert wilson(1.0, 10)[0] == pytest.approx(1 / (1 + 1.959964**2 / 10))


def test_cohen_s_kappa():
    """20 both yes, 15 both no, 5 and 10 apart, of 50: seen 35/50; by chance 25/50 · 30/50 + 25/50 · 20/50."""
    first = ["y"] * 20 + ["y"] * 5 + ["n"] * 10 + ["n"] * 15
    second = ["y"] * 20 + ["n"] * 5 + ["y"] * 10 + ["n"] * 15
    chance = 25 / 50 * 30 / 50 + 25 / 50 * 20 / 50
    assert agreement(first, second) == 35 / 50
    assert cohen_kappa(first, second) == pytest.approx((35 / 50 - chance) / (1 - chance))
    assert cohen_kappa("abab", "baba") == pytest.approx(-1) and cohen_kappa("abca", "abca") == 1
    assert cohen_kappa("aaa", "aaa") is None


def test_fleiss_kappa():
    """Three judges, items aaa, aab, bbc: agreeing pairs 3, 1, 1 of 3 each; a 5/9, b 3/9, c 1/9 of what is said."""
    seen, chance = (3 + 1 + 1) / 9, (25 + 9 + 1) / 81
    assert fleiss_kappa(["aaa", "aab", "bbc"]) == pytest.approx((seen - chance) / (1 - chance))
    assert fleiss_kappa(["aaa", "bbb"]) == 1 and fleiss_kappa(["aa", "aa"]) is None
