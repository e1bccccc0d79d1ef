"""The curves of runs over their steps: one chart a metric, all labels in it."""

import math
from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from jax_mdpo.recipe.reporting.sources import Run
from jax_mdpo.recipe.reporting.subjects import Compared
from jax_mdpo.report.charts import Chart, Curve
from jax_mdpo.report.comparison import CurveGroup
from jax_mdpo.training.settings import EVALUATION_PREFIX

BINS = 80  # points of a curve; more steps than that are put together
RELIANCE = f"{EVALUATION_PREFIX}reliance/"
SPEED = {
    "pairs_per_second",
    "tokens_per_second",
    "step_seconds",
    "data_wait_seconds",
    "peak_memory_bytes",
    "programs",
    "compilations",
}  # in a table
LOSS, REWARDS, ORDER, LOOKS, FIGURES, HELD_OUT, OPTIMISER, OTHERS = GROUPS = (
    "Loss",
    "Rewards",
    "Margins and accuracies",
    "Does the model look at the image?",
    "Benchmarks in training",
    "Held-out pairs",
    "Optimiser",
    "Other metrics",
)
NOTES = {
    LOSS: "In nats; each term before its weight.",
    REWARDS: "β · (log π − log π_ref) in nats, by the image and answer that are read.",
    ORDER: "Margins in nats; accuracies are shares of pairs.",
    LOOKS: "Held-out pairs in the right order with their own image, a black one and another record's.",
    HELD_OUT: "Means over the held-out pairs, after the step's update.",
}
CLOSED = {OTHERS}


def curve_groups(subjects: Sequence[Compared]) -> tuple[CurveGroup, ...]:
    """All metrics that any run has, by kind."""
    runs = [(place, subject.runs) for place, subject in enumerate(subjects) if subject.runs]
    names = dict.fromkeys(name for _, several in runs for run in several for row in run.steps for name in row)
    last = max((run.steps[-1]["step"] for _, several in runs for run in several if run.steps), default=0)
    width = max(1, math.ceil(last / BINS))
    charts: dict[str, list[Chart]] = {group: [] for group in GROUPS}
    for name in names:
        if name != "step" and name not in SPEED and (chart := _chart(name, runs, last, width)) is not None:
            charts[_group(name, names)].append(chart)
    return tuple(CurveGroup(name, tuple(found), _note(name, width), name not in CLOSED) for name, found in charts.items() if found)


def _note(group: str, width: int) -> str:
    together = f"Each point is the mean of {width} steps." if width > 1 and group in (LOSS, REWARDS, ORDER, OPTIMISER, OTHERS) else ""
    return " ".join(filter(None, (NOTES.get(group), together)))


def _group(name: str, names: Iterable[str]) -> str:
    """What a metric is about. What an evaluation has and training has not is a benchmark's figure."""
    if name.startswith(RELIANCE):
        return LOOKS if _is_share(name) else OTHERS
    if name.startswith(EVALUATION_PREFIX):
        inner = name.removeprefix(EVALUATION_PREFIX)
        if inner not in names:
            return FIGURES
        return HELD_OUT if _group(inner, names) in (LOSS, REWARDS, ORDER) else OTHERS
    if name.partition("/")[0] == "loss":
        return LOSS
    if name.startswith("margins/") or name == "rewards/margin" or _is_share(name):
        return ORDER
    if name.startswith("rewards/"):
        return REWARDS
    return OPTIMISER if name == "learning_rate" or name.partition("/")[0] == "grad_norm" else OTHERS


def _is_share(name: str) -> bool:
    last = name.rpartition("/")[2]
    return "accuracy" in last or last == "chosen_positive" or last.startswith(("changed_", "weighted_"))


def _chart(name: str, runs: Sequence[tuple[int, Sequence[Run]]], last: int, width: int) -> Chart | None:
    curves = [curve for place, several in runs if (curve := _curve(name, place, several, width)) is not None]
    known = [value for curve in curves for value in (*curve.low, *curve.high)]
    return Chart(name, tuple(curves), last, share=_is_share(name) and max(known) <= 1) if curves else None


def _curve(name: str, place: int, runs: Sequence[Run], width: int) -> Curve | None:
    """Means over the steps of a bin, then over the repetitions that have the bin."""
    binned = [_binned(name, run, width) for run in runs]
    having = [one for one in binned if one]
    bins = sorted({number for one in having for number in one})
    if not bins:
        return None
    steps = [np.mean([one[number][0] for one in having if number in one]) for number in bins]
    values = [[one[number][1] for one in having if number in one] for number in bins]
    return Curve(
        place,
        [float(step) for step in steps],
        [float(np.mean(several)) for several in values],
        [min(several) for several in values],
        [max(several) for several in values],
        len(having),
    )


def _binned(name: str, run: Run, width: int) -> Mapping[int, tuple[float, float]]:
    """Bin → mean step, mean value. A value that was not finite stands as null in the log, and is passed over."""
    found: dict[int, list[tuple[int, float]]] = {}
    for row in run.steps:
        if isinstance(value := row.get(name), int | float):
            found.setdefault((row["step"] - 1) // width, []).append((row["step"], float(value)))
    return {number: (float(np.mean([s for s, _ in several])), float(np.mean([v for _, v in several]))) for number, several in found.items()}
