"""What benchmarks that need a judge have in common."""

from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path

from jax_mdpo.core.errors import ConfigError
from jax_mdpo.evaluation.benchmarks.judge import Judge
from jax_mdpo.evaluation.benchmarks.protocol import Reading


def needed(judge: Judge | None) -> Judge:
    """The judge, or ConfigError where none is named."""
    if judge is None:
        raise ConfigError(
            "this benchmark needs a judge, and none is named",
            expected="a model behind an OpenAI-compatible endpoint",
            fix="--set judge.model=NAME, and judge.base_url=http://localhost:8000/v1 where it is not OpenAI's",
        )
    return judge


def answering_models(readings: Iterable[Reading]) -> dict[str, int]:
    """How many replies came from which model, by the endpoint's own word: a name such as gpt-4 is served by changing versions."""
    return {f"replies of {model}": count for model, count in sorted(Counter(row["judge"] for row in readings if row.get("judge")).items())}


def remarks(prompt: Path | None) -> Sequence[str]:
    """What keeps a judge's figures from being compared with others. prompt: the user's file, if there is one."""
    ours = ("The judge's prompt is ours, not the official one: not comparable with published figures.",) if prompt is None else ()
    return (*ours, "Figures of different judges are not comparable.")
