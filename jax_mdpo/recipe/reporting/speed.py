"""How fast runs were and what they took."""

from collections.abc import Mapping, Sequence
from itertools import pairwise
from statistics import mean, median
from typing import Any

from jax_mdpo.recipe.reporting.sources import Run
from jax_mdpo.recipe.reporting.subjects import Compared
from jax_mdpo.report.comparison import Speed

NOTE = (
    "Medians over the steps, less the first one and those in which a program was made ready; waiting for data as a share of the time of "
    "all steps. Means over repetitions."
)
PAIRS, TOKENS, STEP, WAIT, PROGRAMS, COMPILED, TRAINED = COLUMNS = (
    "pairs/s",
    "tokens/s",
    "step, s",
    "waiting for data",
    "programs",
    "compiled",
    "in steps, min",
)


def speeds(subjects: Sequence[Compared]) -> Speed:
    """One row a label that has runs; a column for peak memory, or whatever else is logged in bytes, where a run has it."""
    rows = [(place, [_figures(run) for run in subject.runs if run.steps]) for place, subject in enumerate(subjects)]
    rows = [(place, several) for place, several in rows if several]
    columns = tuple(dict.fromkeys([*COLUMNS, *(column for _, several in rows for one in several for column in one)]))
    columns = tuple(column for column in columns if any(column in one for _, several in rows for one in several))
    return Speed(columns, tuple((place, tuple(_shown(column, several) for column in columns)) for place, several in rows), NOTE)


def _figures(run: Run) -> dict[str, float]:
    settled = _settled(run.steps)
    medians = {PAIRS: "pairs_per_second", TOKENS: "tokens_per_second", STEP: "step_seconds"}
    found = {column: median(values) for column, name in medians.items() if (values := _values(settled, name))}
    if seconds := sum(_values(run.steps, "step_seconds")):
        found[WAIT] = sum(_values(run.steps, "data_wait_seconds")) / seconds
        found[TRAINED] = seconds / 60
    for column, name in ((PROGRAMS, "programs"), (COMPILED, "compilations")):
        if counts := _values(run.steps, name):
            found[column] = counts[-1]
    for name in dict.fromkeys(name for row in run.steps for name in row if name.endswith("_bytes")):
        found[f"{name.removesuffix('_bytes').replace('_', ' ')}, GiB"] = max(_values(run.steps, name)) / 2**30
    return found


def _settled(steps: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """The steps that made no program; all of them where none is left."""
    settled = [now for before, now in pairwise(steps) if before.get("programs") == now.get("programs")]
    return settled or list(steps)


def _values(steps: Sequence[Mapping[str, Any]], name: str) -> list[float]:
    return [float(value) for row in steps if isinstance(value := row.get(name), int | float)]


def _shown(column: str, several: Sequence[Mapping[str, float]]) -> str:
    known = [one[column] for one in several if column in one]
    if not known:
        return "–"
    value = mean(known)
    if column == WAIT:
        return f"{value:.1%}"
    return f"{value:,.0f}" if value >= 100 or column in (PROGRAMS, COMPILED) else f"{value:.3g}"
