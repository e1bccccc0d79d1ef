"""How far figures would move with other questions: bootstrap samples of a benchmark's items, drawn by image.

The bootstrap is that of clusters: items that share an image are drawn together, because they are hard or easy together, and intervals
from single items would be too narrow. It is paired: every model is given the same samples, so that what is hard for all of them cancels
in a difference. Intervals are percentiles of the samples' figures. Efron & Tibshirani, An Introduction to the Bootstrap (1993), chapters
8 and 13; Field & Welsh, Bootstrapping clustered data (JRSS B, 2007).
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import chain
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int

from jax_mdpo.core.seeds import generator
from jax_mdpo.evaluation.benchmarks.protocol import Figure, Item, Report, Summing, added

LEVEL = 0.95
SAMPLES, FEWEST = 1000, 200
READ_AT_MOST = 20_000_000  # items, over all samples and models: some ten seconds. Beyond it, fewer samples are drawn

Key = tuple[str, int | str]  # an item's part and id
Name = tuple[str, str]  # a figure's row and column
Answered = Mapping[Key, Item]


class Interval(NamedTuple):
    """Between which bounds 95 % of the samples' figures lie."""

    low: float
    high: float

    @property
    def excludes_zero(self) -> bool:
        return self.low > 0 or self.high < 0


class Draws(NamedTuple):
    """clusters: the items of each image. picks: for each of S samples the C clusters that were drawn for it, with replacement."""

    clusters: tuple[tuple[Key, ...], ...]
    picks: Int[np.ndarray, "S C"]


def by_key(items: Iterable[Item]) -> dict[Key, Item]:
    """Each item by what tells it from the others."""
    return {(item.question.part, item.question.id): item for item in items}


def sample_count(items: int, models: int) -> int:
    """How many samples are drawn: 1,000, or fewer where their reading would take minutes. It depends on nothing but its arguments."""
    return int(np.clip(READ_AT_MOST // max(1, items * models), FEWEST, SAMPLES))


def draws(items: Answered, samples: int, seed: int) -> Draws:
    """The samples of these items. An item whose image has no name is a cluster of its own."""
    clusters: dict[object, list[Key]] = {}
    for key, item in items.items():
        image = item.question.image
        clusters.setdefault(image if isinstance(image, str) else key, []).append(key)
    count = len(clusters)
    return Draws(tuple(map(tuple, clusters.values())), generator(seed, "bootstrap").integers(0, count, size=(samples, count)))


def sampled(
    report: Callable[[Sequence[Item]], Report], repetitions: Sequence[Answered], drawn: Draws, advance: Callable[[], object] = lambda: None
) -> dict[Name, Float[np.ndarray, " S"]]:
    """Each figure of every sample, the mean over the repetitions of a model (its seeds), all of which are given the same samples.

    A figure that a sample lacks, because it holds no item of a part, is NaN there. advance: called after each report.
    """
    groups = [[[answered[key] for key in cluster] for cluster in drawn.clusters] for answered in repetitions]
    found = []
    for pick in drawn.picks.tolist():
        reports = []
        for clusters in groups:
            reports.append(figures(report(list(chain.from_iterable(map(clusters.__getitem__, pick))))))
            advance()
        found.append(averaged(reports))
    return _by_name(found)


def summed(
    benchmark: Summing, repetitions: Sequence[Answered], drawn: Draws, advance: Callable[[], object] = lambda: None
) -> dict[Name, Float[np.ndarray, " S"]]:
    """What `sampled` gives: each image's sums are made once, and a sample's are those of its images, as often as each was drawn."""
    weights = np.stack([np.bincount(pick, minlength=len(drawn.clusters)) for pick in drawn.picks])
    several = []
    for answered in repetitions:
        clusters = [added((answered[key] for key in cluster), benchmark.terms) for cluster in drawn.clusters]
        names = list(dict.fromkeys(chain.from_iterable(clusters)))
        sums = weights @ np.array([[cluster.get(name, 0) for name in names] for cluster in clusters], dtype=np.float64)
        reports = []
        for row in sums.tolist():
            reports.append(figures(benchmark.total(dict(zip(names, row, strict=True)))))
            advance()
        several.append(reports)
    return _by_name([averaged(reports) for reports in zip(*several, strict=True)])


def _by_name(found: Sequence[Mapping[Name, float]]) -> dict[Name, Float[np.ndarray, " S"]]:
    names = dict.fromkeys(chain.from_iterable(found))
    return {name: np.array([one.get(name, np.nan) for one in found]) for name in names}


def figures(report: Report) -> dict[Name, Figure]:
    """A report's figures by row and column."""
    return {(row, column): figure for row, columns in report.rows.items() for column, figure in columns.items()}


def averaged(reports: Sequence[Mapping[Name, Figure]]) -> dict[Name, float]:
    """The means of the figures that all of them have."""
    return {name: float(np.mean([one[name] for one in reports])) for name in reports[0] if all(name in one for one in reports)}


def interval(values: Float[np.ndarray, " S"]) -> Interval | None:
    """The percentile interval; None where fewer than half of the samples have the figure."""
    known = values[~np.isnan(values)]
    if 2 * known.size < values.size or not known.size:
        return None
    low, high = np.quantile(known, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return Interval(float(low), float(high))
