"""Quantile and deviation of masked values against numpy's."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jax_mdpo.objectives.statistics import deviation, mean, quantile


@pytest.mark.parametrize("share", [0.0, 0.25, 0.3, 0.4, 1 - 0.4, 0.7, 1.0])
def test_quantiles_are_numpy_s(share):
    rng = np.random.default_rng(0)
    values = rng.normal(size=(60, 57)).astype(np.float32)
    mask = np.arange(57) < np.arange(60)[:, None] % 57 + 1
    for row in mask:
        rng.shuffle(row)
    found = jax.jit(quantile, static_argnums=2)(values, mask, share)
    expected = [np.quantile(row[own].astype(np.float64), share) for row, own in zip(values, mask, strict=True)]
    np.testing.assert_allclose(found, expected, rtol=1e-6, atol=1e-6)


def test_a_quantile_at_a_value_is_that_value():
    """0.3 · 50 is 15, where it is computed in double precision: the sixteenth of 51 values, neither more nor less."""
    values = np.random.default_rng(1).normal(size=(1, 51)).astype(np.float32)
    assert float(quantile(jnp.asarray(values), jnp.ones((1, 51), bool), 0.3)[0]) == np.sort(values[0])[15]


def test_ties_one_value_and_none():
    values = jnp.array([[2.0, 2.0, 2.0], [5.0, 1.0, 9.0], [1.0, 2.0, 3.0]])
    mask = jnp.array([[True] * 3, [False, True, False], [False] * 3])
    assert quantile(values, mask, 0.4).tolist() == [2.0, 1.0, np.inf]
    assert deviation(values, mask).tolist() == [0.0, 0.0, 0.0]
    assert mean(values, mask).tolist() == [2.0, 1.0, 0.0]


def test_the_deviation_is_the_population_s():
    values = jnp.array([[1.0, 3.0, 100.0]])
    assert float(deviation(values, jnp.array([[True, True, False]]))[0]) == pytest.approx(1.0)
