"""DPO with its losses, lengths, divergences and token weights, as one term over views."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

import jax.numpy as jnp
import pytest
from evaluated import CLEAN_CHOSEN, CLEAN_REJECTED, evaluated, token_gradients

from jax_mdpo.core.config import validate
from jax_mdpo.core.errors import ConfigError
from jax_mdpo.core.views import Need, View, log_ratio_needs
from jax_mdpo.objectives.dpo import DPO
from jax_mdpo.objectives.term import Views
from jax_mdpo.objectives.weighting import Weights

POLICY = {CLEAN_CHOSEN: [-10.0, -21.0], CLEAN_REJECTED: [-14.0, -9.0]}
REFERENCE = {CLEAN_CHOSEN: [-12.0, -18.0], CLEAN_REJECTED: [-13.0, -11.0]}
LENGTHS = {CLEAN_CHOSEN: [4, 3], CLEAN_REJECTED: [2, 5]}
BOTH = evaluated(POLICY, REFERENCE, LENGTHS)
SUMMED = [(2.0, -1.0), (-3.0, 2.0)]  # the log-ratios c and r of each pair
MEAN = [(2.0 / 4, -1.0 / 2), (-3.0 / 3, 2.0 / 5)]


def minus_log_sigma(z: float) -> float:
    return math.log1p(math.exp(-z))


def sigma(z: float) -> float:
    return 1 / (1 + math.exp(-z))


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({}, [minus_log_sigma(0.5 * (c - r)) for c, r in SUMMED]),
        ({"label_smoothing": 0.2}, [0.8 * minus_log_sigma(0.5 * (c - r)) + 0.2 * minus_log_sigma(0.5 * (r - c)) for c, r in SUMMED]),
        ({"loss": "hinge"}, [max(0, 1 - 0.5 * (c - r)) for c, r in SUMMED]),
        ({"loss": "ipo"}, [(c - r - 1) ** 2 for c, r in SUMMED]),
        ({"loss": "ipo", "length_normalised": True}, [(c - r - 1) ** 2 for c, r in MEAN]),
        ({"length_normalised": True}, [minus_log_sigma(0.5 * (c - r)) for c, r in MEAN]),
        ({"divergence": "forward_kl"}, [minus_log_sigma(0.5 * (math.exp(-r) - math.exp(-c))) for c, r in SUMMED]),
        ({"divergence": "js"}, [minus_log_sigma(0.5 * math.log(sigma(c) / sigma(r))) for c, r in SUMMED]),
        (
            {"divergence": "alpha", "alpha": 0.5},
            [minus_log_sigma(0.5 * (math.exp(-0.5 * r) - math.exp(-0.5 * c)) / 0.5) for c, r in SUMMED],
        ),
        (
            {"divergence": "js", "loss": "hinge", "length_normalised": True},
            [max(0, 1 - 0.5 * math.log(sigma(c) / sigma(r))) for c, r in MEAN],
        ),
    ],
)
def test_every_setting_is_the_equation_s(settings: dict[str, Any], expected: list[float]):
    assert DPO(beta=0.5, **settings)(BOTH).loss.tolist() == pytest.approx(expected, rel=1e-5)


def slopes_of_sigmoid(pair: int) -> tuple[float, float]:
    c, r = SUMMED[pair]
    return -0.5 * sigma(0.5 * (r - c)), 0.5 * sigma(0.5 * (r - c))


def slopes_of_ipo_on_means(pair: int) -> tuple[float, float]:
    c, r = MEAN[pair]
    return 2 * (c - r - 1) / LENGTHS[CLEAN_CHOSEN][pair], -2 * (c - r - 1) / LENGTHS[CLEAN_REJECTED][pair]


def slopes_of_forward_kl(pair: int) -> tuple[float, float]:
    c, r = SUMMED[pair]
    outer = -0.5 * sigma(0.5 * (math.exp(-c) - math.exp(-r)))
    return outer * math.exp(-c), -outer * math.exp(-r)


@pytest.mark.parametrize(
    ("settings", "slopes"),
    [
        ({}, slopes_of_sigmoid),
        ({"loss": "ipo", "length_normalised": True}, slopes_of_ipo_on_means),
        ({"divergence": "forward_kl"}, slopes_of_forward_kl),
    ],
)
def test_gradients_are_the_derivatives(settings: dict[str, Any], slopes: Callable[[int], tuple[float, float]]):
    """By the policy's log-prob of each token."""
    found = token_gradients(DPO(beta=0.5, **settings), BOTH)
    for pair in range(2):
        for view, slope in zip((CLEAN_CHOSEN, CLEAN_REJECTED), slopes(pair), strict=True):
            each = LENGTHS[view][pair]
            assert found[view][pair, :each].tolist() == pytest.approx([slope] * each, rel=1e-5)


def test_the_log_tells_the_rewards():
    metrics = DPO(beta=0.5)(BOTH).metrics
    assert metrics["rewards/chosen"].tolist() == pytest.approx([1.0, -1.5])
    assert metrics["rewards/rejected"].tolist() == pytest.approx([-0.5, 1.0])
    assert metrics["rewards/margin"].tolist() == pytest.approx([1.5, -2.5])
    assert metrics["rewards/accuracy"].tolist() == [1, 0]
    assert metrics["rewards/chosen_positive"].tolist() == [1, 0]
    assert metrics["logps/chosen"].tolist() == pytest.approx([-10.0, -21.0])
    assert metrics["logps/rejected"].tolist() == pytest.approx([-14.0, -9.0])


def test_rewards_are_per_token_where_the_loss_is_and_no_link_s():
    metrics = DPO(beta=0.5, length_normalised=True, divergence="js")(BOTH).metrics
    assert metrics["rewards/chosen"].tolist() == pytest.approx([0.25, -0.5])
    assert metrics["rewards/margin"].tolist() == pytest.approx([0.5, -0.7])
    assert metrics["logps/chosen"].tolist() == pytest.approx([-10.0, -21.0])


@dataclass(frozen=True)
class Doubled:
    """Every token of the preferred answer counts twice, of the other answer half."""

    of_reference: ClassVar[bool] = True
    whole_batch: ClassVar[bool] = False

    def needs(self, view: View) -> frozenset[Need]:
        return frozenset()

    def __call__(self, views: Views, view: View, *, preferred: bool) -> Weights:
        values = jnp.full(views.tokens["policy", view].logps.shape, 2.0 if preferred else 0.5)
        return Weights(values, {f"tokens/doubled_{view.response}": values[:, 0]})


@pytest.mark.parametrize(
    ("settings", "loss"),
    [
        ({}, lambda c, r: minus_log_sigma(0.5 * (c - r))),
        ({"loss": "ipo"}, lambda c, r: (c - r - 1) ** 2),
        (
            {"loss": "robust", "label_smoothing": 0.2},
            lambda c, r: (0.8 * minus_log_sigma(0.5 * (c - r)) - 0.2 * minus_log_sigma(0.5 * (r - c))) / 0.6,
        ),
        ({"divergence": "forward_kl"}, lambda c, r: minus_log_sigma(0.5 * (math.exp(-r) - math.exp(-c)))),
    ],
)
def test_token_weights_work_with_every_loss_and_divergence(settings: dict[str, Any], loss: Callable[[float, float], float]):
    outcome = DPO(beta=0.5, weights=Doubled(), **settings)(BOTH)
    assert outcome.loss.tolist() == pytest.approx([loss(2 * c, r / 2) for c, r in SUMMED], rel=1e-5)
    assert outcome.metrics["tokens/doubled_chosen"].tolist() == [2, 2]
    assert outcome.metrics["rewards/chosen"].tolist() == pytest.approx([1.0, -1.5])  # unweighted


def test_weights_come_before_the_division_by_length():
    outcome = DPO(beta=0.5, weights=Doubled(), length_normalised=True)(BOTH)
    assert outcome.loss.tolist() == pytest.approx([minus_log_sigma(0.5 * (2 * c - r / 2)) for c, r in MEAN], rel=1e-5)


def test_no_setting_changes_what_must_be_evaluated():
    expected = log_ratio_needs(CLEAN_CHOSEN, CLEAN_REJECTED)
    assert DPO().needs() == DPO(loss="ipo", length_normalised=True).needs() == DPO(divergence="js").needs() == expected


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"beta": 0}, "beta must be positive"),
        ({"loss": "hinge", "label_smoothing": 0.1}, "hinge knows no label_smoothing"),
        ({"loss": "robust"}, "robust needs label_smoothing"),
        ({"alpha": 0.5}, "leave alpha out"),
        ({"divergence": "alpha"}, "needs alpha"),
        ({"loss": "logistic"}, "loss"),
        ({"divergence": "kl"}, "divergence"),
        ({"length_normalized": True}, "did you mean 'length_normalised'"),
    ],
)
def test_settings_that_contradict_each_other_are_refused(settings: dict[str, Any], message: str):
    with pytest.raises(ConfigError, match=message):
        validate(DPO, settings, where="objectives.0")
