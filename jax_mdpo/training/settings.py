"""What a user may set about the loop: when to save, evaluate and report."""

from typing import Literal

from jax_mdpo.core.config import config

EVALUATION_PREFIX = "eval/"


@config
class BestMetric:
    """Which checkpoint counts as the best: the one with the lowest (min) or highest (max) value of `metric` in metrics.jsonl."""

    metric: str
    mode: Literal["min", "max"]


@config
class CheckpointSettings:
    """A checkpoint every `every` steps, the latest `keep` of them, and the best one where `best` names a metric."""

    every: int = 100
    keep: int = 2
    best: BestMetric | None = None

    def __post_init__(self) -> None:
        if self.every < 1:
            raise ValueError(f"every: expected at least 1 step between checkpoints, got {self.every}")
        if self.keep < 2:
            raise ValueError(f"keep: expected at least 2, since a damaged checkpoint falls back to the one before it, got {self.keep}")


@config
class EvaluationSettings:
    """An evaluation every `every` steps, and after the last one."""

    every: int = 100

    def __post_init__(self) -> None:
        if self.every < 1:
            raise ValueError(f"every: expected at least 1 step between evaluations, got {self.every}")


@config
class LogSettings:
    """Where the output is no terminal, a line of progress every `console_every` steps. metrics.jsonl holds every step regardless.

    term_gradients: every so many steps also the norm of each term's own gradient (training/term_gradients.py); never where not given.
    """

    console_every: int = 10
    term_gradients: int | None = None

    def __post_init__(self) -> None:
        if self.console_every < 1:
            raise ValueError(f"console_every: expected at least 1 step between lines, got {self.console_every}")
        if self.term_gradients is not None and self.term_gradients < 1:
            raise ValueError(f"term_gradients: expected at least 1 step between them, or null for none, got {self.term_gradients}")


@config
class LoopSettings:
    """The loop's settings together, with the one contradiction between them that can arise."""

    checkpoint: CheckpointSettings = CheckpointSettings()
    evaluation: EvaluationSettings | None = None
    logging: LogSettings = LogSettings()

    def __post_init__(self) -> None:
        best = self.checkpoint.best
        if best is None or not best.metric.startswith(EVALUATION_PREFIX):
            return
        if self.evaluation is None:
            raise ValueError(f"checkpoint.best needs {best.metric!r}, and no evaluation is set: add `evaluation:`")
        if self.checkpoint.every % self.evaluation.every:
            raise ValueError(
                f"checkpoint.every ({self.checkpoint.every}) must be a multiple of evaluation.every ({self.evaluation.every}), "
                f"so that every checkpoint has the {best.metric!r} that checkpoint.best compares"
            )
