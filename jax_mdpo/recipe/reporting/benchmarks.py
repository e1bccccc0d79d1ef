"""The figures of benchmarks, label by label, with their differences to the baseline's."""

import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from jaxtyping import Float

from jax_mdpo.core.errors import UserError
from jax_mdpo.evaluation.benchmarks.protocol import Reporting, Summing
from jax_mdpo.evaluation.bootstrap import (
    SAMPLES,
    Answered,
    Draws,
    Interval,
    Key,
    Name,
    averaged,
    draws,
    figures,
    interval,
    sample_count,
    sampled,
    summed,
)
from jax_mdpo.recipe.reporting.likeness import asked_otherwise, remarks, shared, unlike
from jax_mdpo.recipe.reporting.sources import Evaluation
from jax_mdpo.recipe.reporting.subjects import Compared
from jax_mdpo.report.comparison import BenchmarkSection, Difference, Figure, FigureTable, Row
from jax_mdpo.report.published import published
from jax_mdpo.training.progress import Progress

ARROWS = {"more": "↑", "less": "↓"}
ByPlace = Mapping[int, Sequence[Evaluation]]  # a label's place → its repetitions
Sampled = Mapping[Name, Float[np.ndarray, " S"]]


def benchmark_sections(subjects: Sequence[Compared], baseline: int, seed: int) -> tuple[BenchmarkSection, ...]:
    """A section for each benchmark that any label was evaluated on."""
    done = itertools.count(1)
    with Progress(None, passing=True, label="bootstrap") as progress:
        fields = [
            _Field(name, of, reference_of(of, baseline), seed, lambda: progress.update(next(done)))
            for name, of in by_benchmark(subjects).items()
        ]
        progress.expect(sum(field.reports for field in fields))
        return tuple(field.section() for field in fields)


def reference_of(evaluations: ByPlace, baseline: int) -> int:
    """What differences are to: the baseline, or the first label that was evaluated where the baseline was not."""
    return baseline if baseline in evaluations else next(iter(evaluations))


def by_benchmark(subjects: Sequence[Compared]) -> dict[str, ByPlace]:
    """Name → label's place → repetitions. Where a folder holds several evaluations of a benchmark, those in like places belong together."""
    found: dict[str, dict[int, list[Evaluation]]] = {}
    for place, subject in enumerate(subjects):
        for evaluation in subject.evaluations:
            found.setdefault(_name(evaluation, subjects), {}).setdefault(place, []).append(evaluation)
    return dict(found)


def _name(evaluation: Evaluation, subjects: Sequence[Compared]) -> str:
    alike = [[one for one in source.evaluations if one.name == evaluation.name] for subject in subjects for source in subject.sources]
    return evaluation.name if all(len(several) < 2 for several in alike) else f"{evaluation.name} in {evaluation.where}"


@dataclass
class _Field:
    """One benchmark: who was evaluated on it, and the bootstrap samples of their items, which are drawn once for each set of items."""

    name: str
    evaluations: ByPlace
    baseline: int
    seed: int
    advance: Callable[[], object]
    drawn: dict[frozenset[Key], Draws] = field(default_factory=dict)
    samples: dict[tuple[int, frozenset[Key]], Sampled] = field(default_factory=dict)

    @property
    def first(self) -> Evaluation:
        return next(iter(self.evaluations.values()))[0]

    @property
    def better(self) -> Mapping[str, str]:
        """By column, whether more or less is better."""
        return self.first.metrics.get("better", {})

    @property
    def reports(self) -> int:
        """About how many samples will be read."""
        several = [evaluation for of in self.evaluations.values() for evaluation in of]
        return len(several) * self.count(max(len(one.items or {}) for one in several))

    def count(self, items: int) -> int:
        """Of samples of so many items."""
        summing = isinstance(self.benchmark, Summing)
        return SAMPLES if summing else sample_count(items, sum(map(len, self.evaluations.values())))

    @cached_property
    def benchmark(self) -> Reporting | None:
        try:
            return self.first.benchmark()
        except UserError:  # a benchmark from outside that is not on this machine: its figures stand, without intervals
            return None

    @cached_property
    def stated(self) -> dict[int, list[dict[Name, int | float]]]:
        """Of each label's repetitions, as their files have them."""
        return {
            place: [{(row, name): value for row, of in one.metrics["unrounded"].items() for name, value in of.items()} for one in several]
            for place, several in self.evaluations.items()
        }

    def section(self) -> BenchmarkSection:
        names = list(dict.fromkeys(name for several in self.stated.values() for one in several for name in one))
        rows = {place: self.row(place) for place in self.evaluations}
        tables = []
        for table in dict.fromkeys(row for row, _ in names):
            columns = tuple(column for row, column in names if row == table)
            tables.append(FigureTable(table, columns, tuple(self._part(place, of, notes, table) for place, (of, notes) in rows.items())))
        drawn = list(self.drawn.values())
        return BenchmarkSection(
            name=self.name,
            tables=tuple(tables),
            arrows={column: ARROWS[way] for column, way in self.better.items()},
            notes=tuple((place, tuple(remarks(several))) for place, several in self.evaluations.items()),
            baseline=self.baseline,
            samples=min((len(one.picks) for one in drawn), default=0),
            clusters=max((len(one.clusters) for one in drawn), default=0),
            published=published(self.first.name),
        )

    def _part(self, place: int, of: Mapping[Name, Figure], notes: Sequence[str], table: str) -> Row:
        return Row(place, {column: figure for (row, column), figure in of.items() if row == table}, tuple(notes))

    def row(self, place: int) -> tuple[dict[Name, Figure], list[str]]:
        """All figures of a label, and what keeps them from being compared with the baseline's, or limits it."""
        several = self.stated[place]
        known = {name: [one[name] for one in several] for name in several[0] if all(name in one for one in several)}
        own = shared(self.evaluations[place])
        intervals = {name: interval(values) for name, values in self.sampled(place, own).items()}
        differences, notes = self.differences(place)
        if rules := unlike(self.evaluations[place], ()):
            notes = [*notes, f"a mean of figures that were read by different rules ({'; '.join(rules)})"]
        if any(len(one.items or own) != len(own) for one in self.evaluations[place]):
            notes = [*notes, f"interval of the {len(own):,} items that all repetitions answered"]
        return {
            name: _figure(values, int(self.first.metrics["decimals"]), intervals.get(name), differences.get(name))
            for name, values in known.items()
        }, notes

    def differences(self, place: int) -> tuple[dict[Name, Difference], list[str]]:
        if place == self.baseline:
            return {}, []
        ours, theirs = self.evaluations[place], self.evaluations[self.baseline]
        if rules := unlike(theirs, ours):
            return {}, [f"not compared: read by different rules ({'; '.join(rules)})"]
        if any(one.items is None for one in (*ours, *theirs)):
            return {}, ["not compared: there is no items.jsonl"]
        keys = shared([*theirs, *ours])
        if not keys:
            return {}, ["not compared: no item in common"]
        counts = {len(one.items or {}) for one in (*ours, *theirs)}
        notes = [] if counts == {len(keys)} else [f"compared on the {len(keys):,} items that all answered"]
        if otherwise := asked_otherwise(theirs, ours):
            notes.append(f"asked otherwise ({'; '.join(otherwise)})")
        return self._differences(place, keys), notes

    def _differences(self, place: int, keys: Sequence[Key]) -> dict[Name, Difference]:
        if self.benchmark is None:
            return {}
        ours, theirs = self.exact(place, keys), self.exact(self.baseline, keys)
        sampled_ours, sampled_theirs = self.sampled(place, keys), self.sampled(self.baseline, keys)
        found = {}
        for name in ours.keys() & theirs.keys():
            value = ours[name] - theirs[name]
            bounds = interval(sampled_ours[name] - sampled_theirs[name]) if name in sampled_ours.keys() & sampled_theirs.keys() else None
            found[name] = Difference(value, bounds, verdict(self.better.get(name[1]), value, bounds))
        return found

    def exact(self, place: int, keys: Sequence[Key]) -> dict[Name, float]:
        """The figures of these items."""
        assert self.benchmark is not None, "asked for only where there is one"
        report = self.benchmark.report
        return averaged([figures(report([answered[key] for key in keys])) for answered in self._answered(place)])

    def sampled(self, place: int, keys: Sequence[Key]) -> Sampled:
        """The figures of the samples of these items; nothing where the benchmark or the items are not there."""
        if (benchmark := self.benchmark) is None or not keys:
            return {}
        of = frozenset(keys)
        if of not in self.drawn:
            items = self._answered(place)[0]
            self.drawn[of] = draws({key: items[key] for key in keys}, self.count(len(keys)), self.seed)
        if (place, of) not in self.samples:
            given = (self._answered(place), self.drawn[of], self.advance)
            found = summed(benchmark, *given) if isinstance(benchmark, Summing) else sampled(benchmark.report, *given)
            self.samples[place, of] = found
        return self.samples[place, of]

    def _answered(self, place: int) -> list[Answered]:
        return [evaluation.items or {} for evaluation in self.evaluations[place]]


def _figure(values: Sequence[int | float], decimals: int, bounds: Interval | None, difference: Difference | None) -> Figure:
    """A rate with all that is known of it; a count, whose mean over repetitions may be none, by itself."""
    value = float(np.mean(values))
    if isinstance(values[0], int):
        return Figure(value, 0 if value.is_integer() else 1)
    return Figure(value, decimals, bounds, (min(values), max(values)) if len(values) > 1 else None, difference)


def verdict(better: str | None, value: float, bounds: Interval | None) -> str:
    """A word for a difference that the questions alone do not explain; "differs" where neither way is better."""
    if bounds is None or not bounds.excludes_zero:
        return ""
    if better is None:
        return "differs"
    return "better" if (value > 0) == (better == "more") else "worse"
