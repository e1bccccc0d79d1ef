"""What the papers print, to stand beside what was measured."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

import yaml


@dataclass(frozen=True)
class Published:
    """A row of a published table, of one benchmark.

    paper: method, authors, place and arXiv number. table: of the paper. config: the file of configs/papers that trains it, without its
    ending; None for a model as it came. figures: by the column names of our own report of that benchmark, and in its units.
    """

    paper: str
    table: str
    model: str
    method: str
    config: str | None
    figures: Mapping[str, float]


def published(benchmark: str) -> tuple[Published, ...]:
    """The published rows of a benchmark, by its name on the command line; none where the papers do not report it."""
    return tuple(row for name, row in _rows() if name == benchmark)


def benchmarks() -> tuple[str, ...]:
    """The benchmarks that have published rows."""
    return tuple(dict.fromkeys(name for name, _ in _rows()))


@cache
def _rows() -> tuple[tuple[str, Published], ...]:
    held = yaml.safe_load(files("jax_mdpo.report").joinpath("published.yaml").read_text(encoding="utf-8"))
    return tuple(pair for group in held for table, rows in group["tables"].items() for row in rows for pair in _read(group, table, row))


def _read(group: Mapping, table: str, row: Mapping) -> Iterator[tuple[str, Published]]:
    told = {key: row[key] for key in ("model", "method", "config")}
    for benchmark in row.keys() - told.keys():
        figures = dict(zip(group["columns"][benchmark], map(float, row[benchmark]), strict=True))
        yield benchmark, Published(group["paper"], table, **told, figures=figures)
