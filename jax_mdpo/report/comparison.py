"""The page of `report`: runs and evaluations side by side, in one file that needs no other."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PIL import Image

from jax_mdpo.core.files import write_text
from jax_mdpo.report.charts import FRAME, Chart
from jax_mdpo.report.marking import Piece, pieces
from jax_mdpo.report.page import render
from jax_mdpo.report.published import Published

Number = int | float
Bounds = tuple[Number, Number]
COLOURS = 8  # of subjects; the ninth has the first one's again, with another pattern of dashes


@dataclass(frozen=True)
class Section:
    """A part that whoever asks for the page puts on top of it: paragraphs, and a table where there are columns."""

    title: str
    prose: tuple[str, ...] = ()
    columns: tuple[str, ...] = ()
    rows: tuple[tuple[str, ...], ...] = ()


@dataclass(frozen=True)
class Subject:
    """What is compared under one label. facts: what it consists of, in words. paths: of its folders."""

    label: str
    facts: tuple[str, ...]
    paths: tuple[str, ...]


@dataclass(frozen=True)
class Settings:
    """subjects: the places of those that are runs. differing, common: (key, the values: one for each of them, or for all)."""

    subjects: tuple[int, ...] = ()
    differing: tuple[tuple[str, tuple[str, ...]], ...] = ()
    common: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class Difference:
    """A figure less the baseline's. verdict: in a word, where the interval excludes 0."""

    value: Number
    interval: Bounds | None = None
    verdict: str = ""


@dataclass(frozen=True)
class Figure:
    """value: the mean over repetitions, whose least and greatest are their `spread`. interval: of the value. decimals: to show."""

    value: Number
    decimals: int
    interval: Bounds | None = None
    spread: Bounds | None = None
    difference: Difference | None = None


@dataclass(frozen=True)
class Row:
    """The figures of a subject by column. notes: what a reader must know of its comparison with the baseline."""

    subject: int
    figures: Mapping[str, Figure]
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class FigureTable:
    """A row of the benchmark's report, such as a split, for every subject."""

    name: str
    columns: tuple[str, ...]
    rows: tuple[Row, ...]


@dataclass(frozen=True)
class BenchmarkSection:
    """arrows: by column, where more or less is better. notes: by subject, of its items and tools.

    baseline: the place of what differences are to. samples, clusters: of the bootstrap.
    """

    name: str
    tables: tuple[FigureTable, ...]
    arrows: Mapping[str, str]
    notes: tuple[tuple[int, tuple[str, ...]], ...]
    baseline: int
    samples: int
    clusters: int
    published: tuple[Published, ...] = ()

    @property
    def published_columns(self) -> list[str]:
        return list(dict.fromkeys(column for row in self.published for column in row.figures))


@dataclass(frozen=True)
class CurveGroup:
    """Charts of one kind. opened: shown at once, not on demand."""

    title: str
    charts: tuple[Chart, ...]
    note: str = ""
    opened: bool = True


@dataclass(frozen=True)
class SampleAnswer:
    """verdict: in words. good: whether it is one that a model wants; None where that is a matter of degree. words: hallucinated ones."""

    subject: int
    answer: str
    verdict: str
    good: bool | None
    words: tuple[str, ...] = ()

    @property
    def pieces(self) -> list[Piece]:
        return pieces(self.answer, self.words)


@dataclass(frozen=True)
class Sample:
    """An item that subjects answered differently."""

    name: str
    question: str
    image: Image.Image | None
    answers: tuple[SampleAnswer, ...]


@dataclass(frozen=True)
class Samples:
    """chosen: how, and out of how many, in a sentence for each benchmark."""

    samples: tuple[Sample, ...] = ()
    chosen: tuple[str, ...] = ()
    images_note: str = ""


@dataclass(frozen=True)
class Speed:
    """columns: what is known of any run. rows: (subject, the values by column)."""

    columns: tuple[str, ...] = ()
    rows: tuple[tuple[int, tuple[str, ...]], ...] = ()
    note: str = ""


@dataclass(frozen=True)
class Comparison:
    """All that the page shows, in its order. baseline: the place among the subjects of what the others are compared with."""

    title: str
    subjects: tuple[Subject, ...]
    baseline: int
    sections: tuple[Section, ...]
    settings: Settings
    benchmarks: tuple[BenchmarkSection, ...]
    curves: tuple[CurveGroup, ...]
    samples: Samples
    speed: Speed

    @property
    def repeated(self) -> bool:
        """Whether anything is a mean of several."""
        return any(len(subject.paths) > 1 for subject in self.subjects)

    @property
    def drawn(self) -> frozenset[int]:
        """The subjects that have lines in the charts."""
        return frozenset(curve.subject for group in self.curves for chart in group.charts for curve in chart.curves)

    def numbers(self) -> dict[str, Any]:
        """What the page's own program works with; the charts in the page's order."""
        return {
            "subjects": [subject.label for subject in self.subjects],
            "charts": [chart.numbers() for group in self.curves for chart in group.charts],
        }


def write_comparison(page: Comparison, path: Path) -> None:
    """Writes the page as one HTML file that needs no other and no network; it appears whole or not at all."""
    write_text(path, render("comparison.html", page=page, frame=FRAME, fixed=fixed, series=series))


def fixed(value: Number, decimals: int, *, sign: bool = False) -> str:
    """That many decimals, with a true minus sign. sign: also a plus."""
    return f"{value:{'+' if sign else ''}.{decimals}f}".replace("-", "−")


def series(subject: int) -> str:
    """The classes that give a subject its colour and its line."""
    return f"c{subject % COLOURS} d{subject % COLOURS if subject < COLOURS else (subject + 3) % COLOURS}"


def in_words(values: Sequence[object]) -> str:
    """Each of the values once, in order."""
    return ", ".join(dict.fromkeys(map(str, values)))
