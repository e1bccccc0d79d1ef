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
    """labels: what each cell is a repetition of. figures: of each cell, by name (evaluation/row/column).

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
        return [figures[name] for cell, figures in self.figures.items() if self.labels[cell] == row]

    def json(self) -> str:
        rows = [{**vars(cell), "figures": dict(figures)} for cell, figures in self.figures.items()]
        return json.dumps(rows, indent=2) + "\n"


def results(study: StudySettings) -> Results:
    """The headline figures, read from the metrics.json of each cell's evaluations. Raises UserError where there is no such figure."""
    decimals: dict[str, int] = {}
    figures: dict[Cell, dict[str, float]] = {}
    for cell in cells(study):
        figures[cell] = {}
        for name in study.headline:
            evaluation, row, column = name.split("/")
            held = json.loads((cell.folder(Path(study.out)) / EVALUATIONS / evaluation / "metrics.json").read_text(encoding="utf-8"))
            found = {f"{one}/{inner}": value for one, columns in held["unrounded"].items() for inner, value in columns.items()}
            if f"{row}/{column}" not in found:
                raise UserError(f"headline {name!r}: {evaluation} has no such figure", fix=nearest(f"{row}/{column}", found))
            figures[cell][name], decimals[name] = found[f"{row}/{column}"], held["decimals"]
    return Results({cell: label(cell, study) for cell in figures}, figures, decimals)


def table(found: Results) -> str:
    """Markdown: a row for each label, its mean over its cells and, where there are several, the least and the greatest."""
    head = ["", *(name.replace("/", " · ") for name in found.names)]
    lines = [head, ["---", *["---:"] * len(found.names)], *([row, *_row(found, row)] for row in found.rows)]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def sections(study: StudySettings, found: Results) -> tuple[Section, ...]:
    """What stands on top of the report: what the study is about, and its summary."""
    about = tuple(paragraph.strip() for paragraph in study.about.split("\n\n") if paragraph.strip())
    if not found.names:
        return (Section(study.title, about),) if about else ()
    columns = ("", *(name.replace("/", " · ") for name in found.names))
    over = [f"{len(study.worlds)} models"] * (study.worlds_are == "repetitions" and len(study.worlds) > 1) + [f"{len(study.seeds)} seeds"]
    how = f"Means over {' and '.join(over)}, with the least and the greatest of them."
    return (Section("Summary", (*about, how), columns, tuple((row, *_row(found, row)) for row in found.rows)),)


def _row(found: Results, row: str) -> list[str]:
    return [_cell(found.of(row, name), found.decimals[name]) for name in found.names]


def _cell(values: list[float], decimals: int) -> str:
    mean = fixed(fmean(values), decimals)
    return mean if len(values) == 1 else f"{mean} ({fixed(min(values), decimals)}–{fixed(max(values), decimals)})"
