"""The rewards that f-divergences imply against f'(u) − f'(1), with f as the paper gives it."""

import math
from collections.abc import Callable

import jax
import jax.numpy as jnp
import pytest

from jax_mdpo.objectives.links import LINKS, STRAIGHT, check_divergence

ALPHA = 0.25
RATIOS = [-8.0, -2.0, -0.01, 0.0, 0.5, 3.0, 12.0]

F: dict[str, Callable[[float], float]] = {
    "reverse_kl": lambda u: u * math.log(u),
    "forward_kl": lambda u: -math.log(u),
    "js": lambda u: u * math.log(u) - (u + 1) * math.log((u + 1) / 2),
    "alpha": lambda u: (u ** (1 - ALPHA) - (1 - ALPHA) * u - ALPHA) / (ALPHA * (ALPHA - 1)),
}
DERIVATIVE: dict[str, Callable[[float], float]] = {
    "reverse_kl": lambda u: math.log(u) + 1,
    "forward_kl": lambda u: -1 / u,
    "js": lambda u: math.log(2 * u / (1 + u)),
    "alpha": lambda u: (1 - u**-ALPHA) / ALPHA,
}
CURVATURE: dict[str, Callable[[float], float]] = {  # u · f''(u), the slope in log u
    "reverse_kl": lambda u: 1.0,
    "forward_kl": lambda u: 1 / u,
    "js": lambda u: 1 / (1 + u),
    "alpha": lambda u: u**-ALPHA,
}


def link(name: str, ratios: list[float]) -> jax.Array:
    return LINKS[name](jnp.array(ratios), ALPHA if name == "alpha" else None)


def slopes(name: str, ratios: jax.Array) -> jax.Array:
    return jax.grad(lambda x: jnp.sum(LINKS[name](x, ALPHA)))(ratios)


@pytest.mark.parametrize("name", LINKS)
def test_the_table_s_derivatives_are_those_of_its_functions(name: str):
    step = 1e-5
    for u in (0.1, 0.7, 1.0, 3.0):
        quotient = (F[name](u + step) - F[name](u - step)) / (2 * step)
        assert quotient == pytest.approx(DERIVATIVE[name](u), rel=1e-6, abs=1e-6)


@pytest.mark.parametrize("name", LINKS)
def test_values_are_the_derivative_less_its_value_at_one(name: str):
    expected = [DERIVATIVE[name](math.exp(ratio)) - DERIVATIVE[name](1.0) for ratio in RATIOS]
    assert link(name, RATIOS).tolist() == pytest.approx(expected, rel=1e-6, abs=1e-6)


@pytest.mark.parametrize("name", LINKS)
def test_slopes_are_the_second_derivative(name: str):
    found = slopes(name, jnp.array(RATIOS))
    expected = [CURVATURE[name](math.exp(ratio)) for ratio in RATIOS]
    assert found.tolist() == pytest.approx(expected, rel=1e-5, abs=1e-7)  # jax has the slope of expm1 from its value, to rounding at 1


def test_alpha_lies_between_the_two_kullback_leiblers():
    ratios = jnp.array([-2.0, 0.5])
    assert LINKS["alpha"](ratios, 1e-3).tolist() == pytest.approx(ratios.tolist(), rel=2e-3)
    assert LINKS["alpha"](ratios, 1 - 1e-3).tolist() == pytest.approx(LINKS["forward_kl"](ratios, None).tolist(), rel=2e-3)


@pytest.mark.parametrize("name", LINKS)
def test_extremes_are_finite(name: str):
    ratios = jnp.array([-2e4, -1e4, -88.0, 88.0, 1e4, 2e4])
    assert jnp.isfinite(LINKS[name](ratios, ALPHA)).all()
    found = slopes(name, ratios)
    assert jnp.isfinite(found**2).all()  # so that the norm of a gradient is finite too
    assert (found >= 0).all()


def test_the_exponential_goes_straight_ahead_where_it_would_leave_float32():
    top = math.exp(STRAIGHT)
    found = LINKS["forward_kl"](jnp.array([-STRAIGHT, -STRAIGHT - 5]), None)
    assert found.tolist() == pytest.approx([1 - top, 1 - 6 * top], rel=1e-6)
    assert slopes("forward_kl", jnp.array([-STRAIGHT, -STRAIGHT - 5, -1e4])).tolist() == pytest.approx([top, top, top], rel=1e-6)


@pytest.mark.parametrize(
    ("divergence", "alpha", "message"),
    [
        ("js", 0.5, "divergence is js: leave alpha out"),
        ("reverse_kl", 0.5, "leave alpha out"),
        ("alpha", None, "needs alpha between 0"),
        ("alpha", 0.0, "got 0.0"),
        ("alpha", 1.0, "got 1.0"),
    ],
)
def test_alpha_belongs_to_its_divergence_alone(divergence: str, alpha: float | None, message: str):
    with pytest.raises(ValueError, match=message):
        check_divergence(divergence, alpha)
