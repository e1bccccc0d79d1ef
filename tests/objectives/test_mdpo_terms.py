"""The three terms against their equations, written out with plain numbers."""

import math

import jax
import jax.numpy as jnp
import pytest

from jax_mdpo.core.config import validate
from jax_mdpo.core.errors import ConfigError
from jax_mdpo.core.tokens import Tokens
from jax_mdpo.core.views import CHOSEN, CLEAN, NEGATIVE, REJECTED, Need, View
from jax_mdpo.objectives.anchored import Anchored
from jax_mdpo.objectives.conditional import Conditional
from jax_mdpo.objectives.dpo import DPO
from jax_mdpo.objectives.term import Views, total

CLEAN_CHOSEN, CLEAN_REJECTED, NEGATIVE_CHOSEN = View(CLEAN, CHOSEN), View(CLEAN, REJECTED), View(NEGATIVE, CHOSEN)


def views(policy: dict[View, float], reference: dict[View, float]) -> Views:
    """One pair; each summed log-prob is spread over two tokens, so that the sum is exercised too."""
    tokens = {}
    for model, values in (("policy", policy), ("reference", reference)):
        for view, value in values.items():
            tokens[model, view] = Tokens(jnp.array([[0.25 * value, 0.75 * value]]), jnp.ones((1, 2), bool))
    return Views(tokens)


POLICY = {CLEAN_CHOSEN: -10.0, CLEAN_REJECTED: -14.0, NEGATIVE_CHOSEN: -16.0}
REFERENCE = {CLEAN_CHOSEN: -12.0, CLEAN_REJECTED: -13.0, NEGATIVE_CHOSEN: -15.0}
BOTH = views(POLICY, REFERENCE)


def minus_log_sigmoid(x: float) -> float:
    return math.log1p(math.exp(-x))


def test_dpo_compares_the_rewards_of_both_answers():
    outcome = DPO(beta=0.5)(BOTH)
    chosen, rejected = 0.5 * (-10 + 12), 0.5 * (-14 + 13)
    assert outcome.loss[0] == pytest.approx(minus_log_sigmoid(chosen - rejected), rel=1e-6)
    assert outcome.metrics["rewards/margin"][0] == pytest.approx(1.5)
    assert outcome.metrics["rewards/accuracy"][0] == 1


def test_conditional_compares_the_images_for_the_same_answer():
    outcome = Conditional(beta=0.5)(BOTH)
    true, negative = 0.5 * (-10 + 12), 0.5 * (-16 + 15)
    assert outcome.loss[0] == pytest.approx(minus_log_sigmoid(true - negative), rel=1e-6)
    assert outcome.metrics["rewards/negative"][0] == pytest.approx(-0.5)
    assert outcome.metrics["rewards/conditional_accuracy"][0] == 1


@pytest.mark.parametrize("delta", [0.0, 0.7, -2.0])
def test_anchor_holds_the_chosen_reward_above_delta(delta):
    assert Anchored(beta=0.5, delta=delta)(BOTH).loss[0] == pytest.approx(minus_log_sigmoid(1.0 - delta), rel=1e-6)


def test_mdpo_is_the_weighted_sum():
    terms = (DPO(beta=0.5), Conditional(beta=0.5, weight=0.3), Anchored(beta=0.5, weight=2.0))
    outcome = total(terms, BOTH)
    parts = [minus_log_sigmoid(1.5), minus_log_sigmoid(1.5), minus_log_sigmoid(1.0)]
    assert outcome.loss[0] == pytest.approx(parts[0] + 0.3 * parts[1] + 2 * parts[2], rel=1e-6)
    assert {"loss", "loss/dpo", "loss/conditional", "loss/anchor"} <= set(outcome.metrics)


def test_at_the_start_each_term_is_log_two():
    same = views(REFERENCE, REFERENCE)
    terms = (DPO(), Conditional(), Anchored())
    outcome = total(terms, same)
    assert outcome.loss[0] == pytest.approx(3 * math.log(2), rel=1e-6)
    assert all(outcome.metrics[f"rewards/{name}"][0] == 0 for name in ("chosen", "rejected", "negative"))


@pytest.mark.parametrize("margin", [-1e4, 1e4])
def test_extreme_margins_stay_finite(margin):
    far = views({CLEAN_CHOSEN: margin, CLEAN_REJECTED: 0.0}, {CLEAN_CHOSEN: 0.0, CLEAN_REJECTED: 0.0})
    loss = DPO(beta=1.0)(far).loss[0]
    assert loss == pytest.approx(max(-margin, 0.0))
    gradient = jax.grad(lambda m: DPO(beta=1.0)(_with_margin(m)).loss[0])(margin)
    assert gradient == pytest.approx(-1.0 if margin < 0 else 0.0)


def _with_margin(margin: jax.Array) -> Views:
    one = jnp.ones((1, 1), bool)
    chosen, zero = Tokens(jnp.reshape(margin, (1, 1)), one), Tokens(jnp.zeros((1, 1)), one)
    return Views(
        {
            ("policy", CLEAN_CHOSEN): chosen,
            ("policy", CLEAN_REJECTED): zero,
            ("reference", CLEAN_CHOSEN): zero,
            ("reference", CLEAN_REJECTED): zero,
        }
    )


def test_terms_ask_for_no_more_than_they_read():
    assert DPO().needs() == {
        Need("policy", CLEAN_CHOSEN, True),
        Need("policy", CLEAN_REJECTED, True),
        Need("reference", CLEAN_CHOSEN, False),
        Need("reference", CLEAN_REJECTED, False),
    }
    assert {need.view for need in Conditional().needs()} == {CLEAN_CHOSEN, NEGATIVE_CHOSEN}
    assert {need.view for need in Anchored().needs()} == {CLEAN_CHOSEN}


def test_an_unknown_hyperparameter_is_refused():
    with pytest.raises(ConfigError, match="beta"):
        validate(DPO, {"betta": 0.1}, where="objectives.0")
