"""What is wrong with a run that only its metrics tell."""

import math
from collections.abc import Mapping

from jax_mdpo.core.errors import ConfigError, RunError, nearest
from jax_mdpo.training.settings import EVALUATION_PREFIX, BestMetric

MUST_BE_FINITE = ("loss", "grad_norm")


def check_finite(step: int, values: Mapping[str, float], *, pairs: float) -> None:
    """Raises RunError, naming the step, where the loss or the gradient's norm is NaN or infinite; a step without pairs has neither."""
    bad = {name: values[name] for name in MUST_BE_FINITE if name in values and not math.isfinite(values[name])}
    if bad and pairs > 0:
        raise RunError(
            f"training diverged at step {step}",
            expected=f"a finite {' and '.join(bad)}",
            got=", ".join(f"{name} = {value}" for name, value in bad.items()),
            fix="lower the learning rate or the clipping norm; the last checkpoint is from before this step",
        )


def check_best_metric(best: BestMetric | None, values: Mapping[str, float], *, evaluated: bool) -> None:
    """Raises ConfigError where `best` names a metric that this step should have and has not."""
    if best is None or best.metric in values or (best.metric.startswith(EVALUATION_PREFIX) and not evaluated):
        return
    raise ConfigError(f"checkpoint.best.metric {best.metric!r} is no metric of this run: {nearest(best.metric, values)}")
