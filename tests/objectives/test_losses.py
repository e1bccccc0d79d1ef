"""Each loss of a margin against its equation in plain numbers, and its slope against the derivative."""

import math

import jax
import jax.numpy as jnp
import pytest

from jax_mdpo.objectives.losses import LOSSES, check_beta, check_smoothing

BETA, EPSILON = 0.5, 0.1
MARGINS = [-6.0, -0.5, 0.0, 0.75, 1.5, 7.0]


def sigma(z: float) -> float:
    return 1 / (1 + math.exp(-z))


def minus_log_sigma(z: float) -> float:
    return math.log1p(math.exp(-z))


EQUATIONS = {
    "sigmoid": lambda u: 0.9 * minus_log_sigma(0.5 * u) + 0.1 * minus_log_sigma(-0.5 * u),
    "robust": lambda u: (0.9 * minus_log_sigma(0.5 * u) - 0.1 * minus_log_sigma(-0.5 * u)) / 0.8,
    "exo": lambda u: sigma(0.5 * u) * math.log(sigma(0.5 * u) / 0.9) + sigma(-0.5 * u) * math.log(sigma(-0.5 * u) / 0.1),
    "hinge": lambda u: max(0.0, 1 - 0.5 * u),
    "ipo": lambda u: (u - 1.0) ** 2,
}
SLOPES = {
    "sigmoid": lambda u: 0.5 * (sigma(0.5 * u) - 0.9),
    "robust": lambda u: 0.5 * (-0.9 * sigma(-0.5 * u) - 0.1 * sigma(0.5 * u)) / 0.8,
    "exo": lambda u: 0.5 * sigma(0.5 * u) * sigma(-0.5 * u) * (0.5 * u - math.log(0.9 / 0.1)),
    "hinge": lambda u: -0.5 if u < 2 else 0.0,
    "ipo": lambda u: 2 * (u - 1.0),
}


@pytest.mark.parametrize("name", LOSSES)
def test_values_are_the_equation_s(name: str):
    found = LOSSES[name](jnp.array(MARGINS), BETA, EPSILON)
    assert found.tolist() == pytest.approx([EQUATIONS[name](u) for u in MARGINS], rel=1e-5, abs=1e-6)


@pytest.mark.parametrize("name", LOSSES)
def test_slopes_are_the_derivative_s(name: str):
    found = jax.grad(lambda u: jnp.sum(LOSSES[name](u, BETA, EPSILON)))(jnp.array(MARGINS))
    assert found.tolist() == pytest.approx([SLOPES[name](u) for u in MARGINS], rel=1e-5, abs=1e-6)


@pytest.mark.parametrize("name", LOSSES)
def test_extremes_are_finite_and_right(name: str):
    far = {  # −log σ(z) is −z far below 0 and 0 far above it; z = βu
        "sigmoid": [0.9 * 2e4, 0.1 * 2e4],
        "robust": [0.9 * 2e4 / 0.8, -0.1 * 2e4 / 0.8],
        "exo": [-math.log(0.1), -math.log(0.9)],
        "hinge": [1 + 2e4, 0.0],
        "ipo": [(-4e4 - 1.0) ** 2, (4e4 - 1.0) ** 2],
    }
    margins = jnp.array([-4e4, 4e4])
    assert LOSSES[name](margins, BETA, EPSILON).tolist() == pytest.approx(far[name], rel=1e-6)
    assert jnp.isfinite(jax.grad(lambda u: jnp.sum(LOSSES[name](u, BETA, EPSILON)))(margins)).all()


def test_without_smoothing_sigmoid_is_dpo():
    found = LOSSES["sigmoid"](jnp.array(MARGINS), BETA, 0.0)
    assert found.tolist() == pytest.approx([minus_log_sigma(0.5 * u) for u in MARGINS], rel=1e-6)


def test_robust_is_unbiased_over_flips():
    margins = jnp.array(MARGINS)
    mean = 0.9 * LOSSES["robust"](margins, BETA, 0.1) + 0.1 * LOSSES["robust"](-margins, BETA, 0.1)
    assert mean.tolist() == pytest.approx([minus_log_sigma(0.5 * u) for u in MARGINS], rel=1e-5, abs=1e-6)


def test_exo_is_zero_where_the_preference_is_the_labels_own():
    agreed = math.log(0.9 / 0.1) / BETA  # σ(βu) = 1 − ε
    assert LOSSES["exo"](jnp.array([agreed]), BETA, 0.1)[0] == pytest.approx(0.0, abs=1e-6)


@pytest.mark.parametrize(
    ("loss", "smoothing", "message"),
    [
        ("hinge", 0.1, "hinge knows no label_smoothing"),
        ("ipo", 0.1, "ipo knows no label_smoothing"),
        ("robust", 0.0, "robust needs label_smoothing"),
        ("exo", 0.0, "exo needs label_smoothing"),
        ("sigmoid", 0.5, "below 0.5; got 0.5"),
        ("sigmoid", -0.1, "below 0.5; got -0.1"),
    ],
)
def test_smoothing_that_a_loss_would_ignore_or_lacks_is_refused(loss: str, smoothing: float, message: str):
    with pytest.raises(ValueError, match=message):
        check_smoothing(loss, smoothing)


@pytest.mark.parametrize("beta", [0.0, -0.1, math.nan])
def test_beta_is_positive(beta: float):
    with pytest.raises(ValueError, match="beta must be positive"):
        check_beta(beta)
