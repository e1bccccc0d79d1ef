"""BCO's loss around its running mean, and how the mean runs."""

import math

import jax.numpy as jnp
import pytest
from evaluated import CLEAN_CHOSEN, CLEAN_REJECTED, evaluated, token_gradients

from jax_mdpo.core.config import validate
from jax_mdpo.core.errors import ConfigError
from jax_mdpo.core.views import log_ratio_needs
from jax_mdpo.objectives.bco import BCO
from jax_mdpo.objectives.dpo import DPO
from jax_mdpo.objectives.term import Remembering, Views, remembered, started, total

ZERO = {CLEAN_CHOSEN: [0.0, 0.0], CLEAN_REJECTED: [0.0, 0.0]}
RATIOS = {CLEAN_CHOSEN: [2.0, -3.0], CLEAN_REJECTED: [-1.0, 2.0]}
BOTH = evaluated(RATIOS, ZERO)


def around(delta: float) -> Views:
    return Views(BOTH.tokens, {"bco": {"delta": jnp.float32(delta), "steps": jnp.float32(3)}})


def minus_log_sigma(z: float) -> float:
    return math.log1p(math.exp(-z))


def sigma(z: float) -> float:
    return 1 / (1 + math.exp(-z))


@pytest.mark.parametrize("delta", [0.0, 0.4, -2.0])
def test_good_above_the_mean_bad_below_it(delta: float):
    outcome = BCO(beta=0.5)(around(delta))
    expected = [minus_log_sigma(0.5 * c - delta) + minus_log_sigma(delta - 0.5 * r) for c, r in ((2.0, -1.0), (-3.0, 2.0))]
    assert outcome.loss.tolist() == pytest.approx(expected, rel=1e-6)
    assert outcome.metrics["bco/delta"].tolist() == pytest.approx([delta] * 2)
    assert outcome.metrics["bco/reward"].tolist() == pytest.approx([0.5 * (2 - 1) / 2, 0.5 * (-3 + 2) / 2])


def test_the_gradient_treats_the_mean_as_a_number():
    found = token_gradients(BCO(beta=0.5), around(0.4))
    assert found[CLEAN_CHOSEN][:, 0].tolist() == pytest.approx([-0.5 * sigma(0.4 - 1.0), -0.5 * sigma(0.4 + 1.5)], rel=1e-5)
    assert found[CLEAN_REJECTED][:, 0].tolist() == pytest.approx([0.5 * sigma(-0.5 - 0.4), 0.5 * sigma(1.0 - 0.4)], rel=1e-5)


def test_at_the_start_it_is_two_log_two():
    views = evaluated(ZERO, ZERO, None, BCO())
    assert BCO()(views).loss.tolist() == pytest.approx([2 * math.log(2)] * 2)


def test_the_mean_is_that_of_the_steps_before_each_counted_once():
    terms = (BCO(beta=0.5),)
    memory = started(terms)
    steps = [[1.0, 5.0], [-2.0, -4.0], [7.0, 0.0]]  # log-ratios of the chosen answers; the rejected ones stay at 0
    seen: list[float] = []
    for ratios in steps:
        views = Views(evaluated({CLEAN_CHOSEN: ratios, CLEAN_REJECTED: [0.0, 0.0]}, ZERO).tokens, memory)
        metrics = {name: jnp.mean(values) for name, values in total(terms, views).metrics.items()}
        assert metrics["bco/delta"] == pytest.approx(sum(seen) / max(len(seen), 1), abs=1e-6)
        memory = remembered(terms, memory, metrics)
        seen.append(0.5 * sum(ratios) / 4)  # over both answers of two pairs
    assert memory["bco"]["delta"] == pytest.approx(sum(seen) / 3, rel=1e-6)
    assert memory["bco"]["steps"] == 3


def test_the_mean_is_of_its_own_rewards_whatever_another_term_s_beta():
    terms = (DPO(beta=0.1), BCO(beta=0.5))
    views = Views(BOTH.tokens, started(terms))
    metrics = {name: jnp.mean(values) for name, values in total(terms, views).metrics.items()}
    assert metrics["rewards/chosen"] == pytest.approx(0.1 * (2 - 3) / 2)  # the first term's
    assert remembered(terms, views.memory, metrics)["bco"]["delta"] == pytest.approx(0.5 * (2 - 3 - 1 + 2) / 4)


def test_needs_and_protocol():
    assert BCO().needs() == log_ratio_needs(CLEAN_CHOSEN, CLEAN_REJECTED)
    assert isinstance(BCO(), Remembering)


def test_beta_is_positive():
    with pytest.raises(ConfigError, match="beta must be positive"):
        validate(BCO, {"beta": 0}, where="objectives.0")
