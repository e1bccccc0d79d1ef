"""The headline figures of a study: each cell's, and what they come to."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean

from jax_mdpo.core.errors import UserError, nearest
from jax_mdpo.report.comparison import Section, fixed
from jax_mdpo.studies.cell import EVALUATIONS
from jax_mdpo.studies.grid import Cell, cells, label
from jax_mdpo.studies.settings import StudySettings


@dataclass(frozen=True)
class Results:
    """labels: what each cell is a repetition of. figures: of each cell, those that it has, by name (evaluation/row/column).

    decimals: of each figure, as its benchmark prints it.
    """

    labels: Mapping[Cell, str]
    figures: Mapping[Cell, Mapping[str, float]]
    decimals: Mapping[str, int]

    @property
    def rows(self) -> list[str]:
        """The labels, each once."""
        return list(dict.fromkeys(self.labels.values()))

    @property
    def names(self) -> list[str]:
        return list(self.decimals)

    def of(self, row: str, name: str) -> list[float]:
        """A figure in all cells of a label."""
        return [figures[name] for cell, figures in self.figures.items() if self.labels[cell] == row and name in figures]

    def json(self) -> str:
        rows = [{**vars(cell), "figures": dict(figures)} for cell, figures in self.figures.items()]
        return json.dumps(rows, indent=2) + "\n"


def results(study: StudySettings) -> Results:
    """The headline figures, read from the metrics.json of each cell's evaluations. Raises UserError where no cell has one of them.

    A model that is not trained lacks some: it has no implicit reward.
    """
    every: dict[Cell, dict[str, float]] = {}
    decimals: dict[str, int] = {}
    for cell in cells(study):
        every[cell] = {}
        for evaluation in study.evaluations:
            held = json.loads((cell.folder(Path(study.out)) / EVALUATIONS / evaluation / "metrics.json").read_text(encoding="utf-8"))
            found = {
                f"{evaluation}/{row}/{column}": value for row, columns in held["unrounded"].items() for column, value in columns.items()
            }
            every[cell] |= found
            decimals |= dict.fromkeys(found, held["decimals"])
    for name in study.headline:
        if name not in decimals:
            raise UserError(f"headline {name!r}: no evaluation has such a figure", fix=nearest(name, decimals))
    figures = {cell: {name: of[name] for name in study.headline if name in of} for cell, of in every.items()}
    return Results({cell: label(cell, study) for cell in figures}, figures, {name: decimals[name] for name in study.headline})


def table(found: Results) -> str:
    """Markdown: a row for each label, its mean over its cells and, where there are several, the least and the greatest."""
    head = ["", *(name.replace("/", " · ") for name in found.names)]
    lines = [head, ["---", *["---:"] * len(found.names)], *([row, *row_of(found, row)] for row in found.rows)]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def sections(study: StudySettings, found: Results) -> tuple[Section, ...]:
    """What stands on top of the report: what the study is about, and its summary."""
    about = tuple(paragraph.strip() for paragraph in study.about.split("\n\n") if paragraph.strip())
    if not found.names:
        return (Section(study.title, about),) if about else ()
    columns = ("", *(name.replace("/", " · ") for name in found.names))
    counts = {"models": len(study.worlds) if study.worlds_are == "repetitions" else 1, "seeds": len(study.seeds)}
    over = " and ".join(f"{count} {what}" for what, count in counts.items() if count > 1)
    how = f"Means over {over}, with the least and the greatest of them." if over else "One model and one seed: no more than a glance."
    return (Section("Summary", (*about, how), columns, tuple((row, *row_of(found, row)) for row in found.rows)),)


def row_of(found: Results, row: str) -> list[str]:
    return [_cell(found.of(row, name), found.decimals[name]) for name in found.names]


def _cell(values: list[float], decimals: int) -> str:
    if not values:
        return "–"
    mean = fixed(fmean(values), decimals)
    return mean if len(values) == 1 else f"{mean} ({fixed(min(values), decimals)}–{fixed(max(values), decimals)})"
