"""Anchors, DPOP, SimPO, ORPO, SFT and pointwise losses against their equations in plain numbers, in value and gradient."""

import math
from typing import Any

import jax
import jax.numpy as jnp
import pytest
from evaluated import CLEAN_CHOSEN, CLEAN_REJECTED, NEGATIVE_CHOSEN, evaluated, token_gradients

from jax_mdpo.core.config import validate
from jax_mdpo.core.errors import ConfigError
from jax_mdpo.core.views import Need, View, log_ratio_needs
from jax_mdpo.objectives.anchored import Anchored
from jax_mdpo.objectives.dpo import DPO
from jax_mdpo.objectives.dpop import DPOP
from jax_mdpo.objectives.orpo import CERTAIN, ORPO, log_odds
from jax_mdpo.objectives.pointwise import Pointwise
from jax_mdpo.objectives.sft import SFT
from jax_mdpo.objectives.simpo import SimPO
from jax_mdpo.objectives.term import Term, total

POLICY = {CLEAN_CHOSEN: [-10.0, -21.0], CLEAN_REJECTED: [-14.0, -9.0], NEGATIVE_CHOSEN: [-16.0, -20.0]}
REFERENCE = {CLEAN_CHOSEN: [-12.0, -18.0], CLEAN_REJECTED: [-13.0, -11.0], NEGATIVE_CHOSEN: [-15.0, -24.0]}
LENGTHS = {CLEAN_CHOSEN: [4, 3], CLEAN_REJECTED: [2, 5], NEGATIVE_CHOSEN: [4, 3]}
BOTH = evaluated(POLICY, REFERENCE, LENGTHS)
POLICY_ALONE = evaluated({view: POLICY[view] for view in (CLEAN_CHOSEN, CLEAN_REJECTED)}, None, LENGTHS)


def minus_log_sigma(z: float) -> float:
    return math.log1p(math.exp(-z))


def sigma(z: float) -> float:
    return 1 / (1 + math.exp(-z))


def slopes(term: Term, view: View) -> list[float]:
    """∂ loss / ∂ (log-prob of a token), the same for all tokens of a response."""
    found = token_gradients(term, BOTH)[view]
    for pair, length in enumerate(LENGTHS[view]):
        assert found[pair, :length].tolist() == pytest.approx([found[pair, 0].item()] * length)
    return found[:, 0].tolist()


@pytest.mark.parametrize(
    ("view", "sign", "rewards", "of"),
    [
        ("chosen", 1, [1.0, -1.5], CLEAN_CHOSEN),
        ("rejected", -1, [-0.5, 1.0], CLEAN_REJECTED),
        ("negative", -1, [-0.5, 2.0], NEGATIVE_CHOSEN),
    ],
)
def test_anchors_hold_each_reward_on_its_side(view: str, sign: int, rewards: list[float], of: View):
    term = Anchored(view=view, beta=0.5, delta=0.25)
    outcome = term(BOTH)
    assert outcome.loss.tolist() == pytest.approx([minus_log_sigma(sign * (reward - 0.25)) for reward in rewards], rel=1e-6)
    assert slopes(term, of) == pytest.approx([-sign * 0.5 * sigma(-sign * (reward - 0.25)) for reward in rewards], rel=1e-5)
    assert outcome.metrics[f"rewards/{view}"].tolist() == pytest.approx(rewards)
    assert term.needs() == log_ratio_needs(of)


def test_anchors_stand_side_by_side():
    terms = (Anchored(), Anchored(view="rejected"), Anchored(view="negative"))
    assert {"loss/anchor", "loss/anchor_rejected", "loss/anchor_negative"} <= set(total(terms, BOTH).metrics)


def test_an_anchor_on_the_chosen_reward_tells_its_sign():
    assert Anchored()(BOTH).metrics["rewards/chosen_positive"].tolist() == [1, 0]
    assert "rewards/chosen_positive" not in Anchored(view="rejected")(BOTH).metrics


def test_dpop_adds_the_penalty_where_the_chosen_answer_fell():
    loss = DPOP(beta=0.5, penalty=4.0)(BOTH).loss
    assert loss.tolist() == pytest.approx([minus_log_sigma(0.5 * (2 + 1)), minus_log_sigma(0.5 * (-3 - 2 - 4 * 3))], rel=1e-6)


def test_dpop_s_gradient_has_the_penalty_where_the_chosen_answer_fell():
    inner = [-0.5 * sigma(-0.5 * (2 + 1)), -0.5 * sigma(-0.5 * (-3 - 2 - 4 * 3))]
    term = DPOP(beta=0.5, penalty=4.0)
    assert slopes(term, CLEAN_CHOSEN) == pytest.approx([inner[0], inner[1] * (1 + 4)], rel=1e-5)
    assert slopes(term, CLEAN_REJECTED) == pytest.approx([-inner[0], -inner[1]], rel=1e-5)


def test_dpop_starts_as_dpo():
    same = evaluated(REFERENCE, REFERENCE, LENGTHS)
    found, plain = token_gradients(DPOP(beta=0.1), same), token_gradients(DPO(beta=0.1), same)
    assert found[CLEAN_CHOSEN].tolist() == plain[CLEAN_CHOSEN].tolist()


def test_simpo_compares_means_over_a_margin():
    outcome = SimPO(beta=2.0, gamma=1.5)(POLICY_ALONE)
    assert outcome.loss.tolist() == pytest.approx(
        [minus_log_sigma(2 * (-10 / 4 + 14 / 2) - 1.5), minus_log_sigma(2 * (-21 / 3 + 9 / 5) - 1.5)], rel=1e-5
    )
    assert outcome.metrics["rewards/chosen"].tolist() == pytest.approx([2 * -10 / 4, 2 * -21 / 3])
    assert outcome.metrics["rewards/margin"].tolist() == pytest.approx([2 * (-10 / 4 + 14 / 2), 2 * (-21 / 3 + 9 / 5)])
    assert "rewards/chosen_positive" not in outcome.metrics  # β log π is never positive


def test_simpo_s_gradient_is_shared_among_the_tokens():
    outer = [-2 * sigma(1.5 - 2 * (-10 / 4 + 14 / 2)), -2 * sigma(1.5 - 2 * (-21 / 3 + 9 / 5))]
    term = SimPO(beta=2.0, gamma=1.5)
    assert slopes(term, CLEAN_CHOSEN) == pytest.approx([outer[0] / 4, outer[1] / 3], rel=1e-5)
    assert slopes(term, CLEAN_REJECTED) == pytest.approx([-outer[0] / 2, -outer[1] / 5], rel=1e-5)


def logit(mean: float) -> float:
    return math.log(math.exp(mean) / (1 - math.exp(mean)))


def test_orpo_compares_the_odds_of_mean_probabilities():
    outcome = ORPO()(POLICY_ALONE)
    ratios = [logit(-10 / 4) - logit(-14 / 2), logit(-21 / 3) - logit(-9 / 5)]
    assert outcome.loss.tolist() == pytest.approx([minus_log_sigma(ratio) for ratio in ratios], rel=1e-5)
    assert outcome.metrics["orpo/log_odds_ratio"].tolist() == pytest.approx(ratios, rel=1e-5)


def test_orpo_s_gradient():
    ratio = logit(-10 / 4) - logit(-14 / 2)
    expected = -sigma(-ratio) / (1 - math.exp(-10 / 4)) / 4  # d log odds / d log p = 1 / (1 − p)
    assert slopes(ORPO(), CLEAN_CHOSEN)[0] == pytest.approx(expected, rel=1e-5)


def test_log_odds_are_exact_from_rare_to_sure():
    means = [-1e4, -80.0, -2.0, -math.log(2), -0.5, -1e-3, -1e-5]
    expected = [mean - math.log(-math.expm1(mean)) for mean in means]
    assert log_odds(jnp.array(means)).tolist() == pytest.approx(expected, rel=1e-6, abs=1e-6)
    slopes = jax.grad(lambda x: jnp.sum(log_odds(x)))(jnp.array(means))
    assert slopes.tolist() == pytest.approx([-1 / math.expm1(mean) for mean in means], rel=1e-5)


def test_log_odds_of_certainty_stand_still():
    certain = jnp.zeros(7)
    assert log_odds(certain).tolist() == pytest.approx([CERTAIN - math.log(-math.expm1(CERTAIN))] * 7, rel=1e-6)
    assert jax.grad(lambda x: jnp.sum(log_odds(x)))(certain).tolist() == [0] * 7


def test_sft_is_the_mean_or_the_sum():
    assert SFT()(POLICY_ALONE).loss.tolist() == pytest.approx([10 / 4, 21 / 3])
    assert SFT(per="sequence")(POLICY_ALONE).loss.tolist() == pytest.approx([10.0, 21.0])
    assert slopes(SFT(), CLEAN_CHOSEN) == pytest.approx([-1 / 4, -1 / 3])
    assert slopes(SFT(per="sequence"), CLEAN_CHOSEN) == [-1, -1]


@pytest.mark.parametrize(
    ("loss", "equation"),
    [
        ("nca", lambda w, o: minus_log_sigma(w) + 0.5 * minus_log_sigma(-w) + 0.5 * minus_log_sigma(-o)),
        ("sppo", lambda w, o: (w / 0.5 - 1 / (2 * 0.5)) ** 2 + (o / 0.5 + 1 / (2 * 0.5)) ** 2),
        ("apo_zero", lambda w, o: 1 - sigma(w) + sigma(o)),
        ("apo_down", lambda w, o: sigma(w) + 1 - sigma(w - o)),
    ],
)
def test_pointwise_losses(loss: str, equation: Any):
    term = Pointwise(loss=loss, beta=0.5)
    rewards = [(1.0, -0.5), (-1.5, 1.0)]
    assert term(BOTH).loss.tolist() == pytest.approx([equation(*pair) for pair in rewards], rel=1e-6)
    step = 1e-6
    quotients = [(equation(w + step, o) - equation(w - step, o)) / (2 * step) for w, o in rewards]
    assert slopes(term, CLEAN_CHOSEN) == pytest.approx([0.5 * quotient for quotient in quotients], rel=1e-5)
    quotients = [(equation(w, o + step) - equation(w, o - step)) / (2 * step) for w, o in rewards]
    assert slopes(term, CLEAN_REJECTED) == pytest.approx([0.5 * quotient for quotient in quotients], rel=1e-5)


@pytest.mark.parametrize(("term", "views"), [(SimPO(), 2), (ORPO(), 2), (SFT(), 1)])
def test_terms_without_a_reference_ask_for_none(term: Term, views: int):
    expected = {Need("policy", view) for view in (CLEAN_CHOSEN, CLEAN_REJECTED)[:views]}
    assert term.needs() == expected


@pytest.mark.parametrize("term", [DPOP(), Pointwise(loss="nca")])
def test_terms_with_a_reference_ask_for_both_answers(term: Term):
    assert term.needs() == log_ratio_needs(CLEAN_CHOSEN, CLEAN_REJECTED)


@pytest.mark.parametrize(
    ("kind", "settings", "message"),
    [
        (Anchored, {"beta": 0}, "beta must be positive"),
        (Anchored, {"view": "noised"}, "view"),
        (DPOP, {"penalty": -1}, "penalty must not be negative"),
        (DPOP, {"beta": -1}, "beta must be positive"),
        (SimPO, {"beta": 0}, "beta must be positive"),
        (SimPO, {"gama": 1}, "did you mean 'gamma'"),
        (SFT, {"per": "word"}, "per"),
        (ORPO, {"beta": 0.1}, "unknown key 'beta'"),
        (Pointwise, {}, "'loss' is missing"),
        (Pointwise, {"loss": "sppo", "beta": 0}, "beta must be positive"),
    ],
)
def test_wrong_settings_are_refused(kind: type, settings: dict[str, Any], message: str):
    with pytest.raises(ConfigError, match=message):
        validate(kind, settings, where="objectives.0")
