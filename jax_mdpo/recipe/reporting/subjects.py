"""What is compared under one label."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from jax_mdpo.recipe.reporting.sources import Evaluation, Run, Source
from jax_mdpo.report.comparison import Subject, in_words


@dataclass(frozen=True)
class Compared:
    """A label with its repetitions."""

    label: str
    sources: tuple[Source, ...]

    @property
    def runs(self) -> list[Run]:
        return [source.run for source in self.sources if source.run is not None]

    @property
    def evaluations(self) -> list[Evaluation]:
        return [evaluation for source in self.sources for evaluation in source.evaluations]


def described(subject: Compared) -> Subject:
    """For the head of the page."""
    return Subject(subject.label, tuple(_facts(subject)), tuple(str(source.path) for source in subject.sources))


def _facts(subject: Compared) -> list[str]:
    facts = []
    if runs := subject.runs:
        count = "run" if len(runs) == 1 else f"{len(runs)} runs"
        steps = in_words([f"{run.steps[-1]['step']:,}" if run.steps else "0" for run in runs])
        facts.append(f"{count} of {steps} steps")
        if objectives := in_words([_objectives(run.settings) for run in runs]):
            facts.append(objectives)
        if going := sum(not run.finished for run in runs):
            facts.append("not finished" if going == len(runs) else f"{going} of them not finished")
    if names := in_words([evaluation.name for evaluation in subject.evaluations]):
        facts.append(f"evaluated on {names}")
    return facts


def _objectives(settings: Mapping[str, Any]) -> str:
    terms: Sequence[Any] = settings.get("objectives") or ()
    return " + ".join(str(term["name"]) for term in terms if isinstance(term, dict) and "name" in term)
