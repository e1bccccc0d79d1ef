"""Contradictory settings of the loop are refused."""

import pytest

from jax_mdpo.core.config import validate
from jax_mdpo.core.errors import ConfigError
from jax_mdpo.training.settings import LoopSettings

BEST = {"metric": "eval/loss", "mode": "min"}


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"checkpoint": {"keep": 1}}, "keep: expected at least 2"),
        ({"checkpoint": {"every": 0}}, "every: expected at least 1"),
        ({"evaluation": {"every": 0}}, "every: expected at least 1"),
        ({"logging": {"console_every": 0}}, "console_every: expected at least 1"),
        ({"logging": {"term_gradients": 0}}, "term_gradients: expected at least 1 step between them, or null"),
        ({"checkpoint": {"best": BEST}}, "no evaluation is set"),
        ({"checkpoint": {"best": BEST, "every": 30}, "evaluation": {"every": 20}}, "multiple of evaluation.every"),
        ({"checkpoint": {"evrey": 5}}, "did you mean 'every'"),
        ({"checkpoint": {"best": {"metric": "loss"}}}, "'checkpoint.best.mode' is missing"),
    ],
)
def test_refused(values, message):
    with pytest.raises(ConfigError, match=message):
        validate(LoopSettings, values, where="a test")


@pytest.mark.parametrize("best", [BEST, {"metric": "rewards/accuracy", "mode": "max"}])
def test_accepted(best):
    values = {"checkpoint": {"best": best, "every": 40}, "evaluation": {"every": 20}}
    assert validate(LoopSettings, values, where="a test").checkpoint.best.metric == best["metric"]
