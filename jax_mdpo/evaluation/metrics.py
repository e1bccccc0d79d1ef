"""The metrics.json of an evaluation, and the same for the eye."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.table import Column, Table

from jax_mdpo.evaluation.answers.faults import Faults
from jax_mdpo.evaluation.benchmarking import Scored
from jax_mdpo.evaluation.benchmarks.protocol import Figure


def metrics(scored: Scored, *, absent: Sequence[str], faults: Faults, options: Mapping[str, Any]) -> dict[str, Any]:
    """Everything that the figures depend on beside them: counts of items, tools, options, and what is not in them.

    figures: as the official tool gives them; unrounded: before its last rounding.
    """
    report = scored.report
    return {
        "figures": {
            row: {name: _rounded(value, report.decimals) for name, value in figures.items()} for row, figures in report.rows.items()
        },
        "unrounded": report.rows,
        "decimals": report.decimals,
        "better": dict(report.better),
        "items": dict(Counter(item.question.part for item in scored.items)),
        "absent": list(absent),
        "counts": dict(report.counts),
        "remarks": list(report.remarks),
        "left_out": dict(faults.found),
        "tools": scored.tools,
        "options": dict(options),
    }


def _rounded(value: Figure, decimals: int) -> Figure:
    return value if isinstance(value, int) else round(value, decimals)


def tables(metrics: Mapping[str, Any]) -> Iterator[Table]:
    """The figures under the official names; a row joins the table above it where that has its columns."""
    table: Table | None = None
    columns: Sequence[str] = ()
    for name, figures in metrics["figures"].items():
        if table is None or not set(figures) <= set(columns):
            if table is not None:
                yield table
            columns = tuple(figures)
            table = _table(metrics["benchmark"].rpartition(":")[2], columns)  # the class alone, of one of the user's own
        table.add_row(name, *(_shown(figures.get(column), metrics["decimals"]) for column in columns))
    if table is not None:
        yield table


def _table(benchmark: str, columns: Sequence[str]) -> Table:
    headings = [
        Column(benchmark, no_wrap=True),
        *(Column(name, justify="right", min_width=max(map(len, name.split()))) for name in columns),
    ]
    return Table(*headings, box=SIMPLE_HEAD, padding=0)  # narrow: POPE's nine figures fit a terminal


def _shown(value: Figure | None, decimals: int) -> str:
    if value is None or isinstance(value, int):
        return "" if value is None else str(value)
    return f"{value:.{decimals}f}"


def notes(metrics: Mapping[str, Any]) -> Iterator[str]:
    """What stands under the tables: how many items, by which tools and options, and what is not in the figures."""
    items = metrics["items"]
    yield f"items: {sum(items.values())} ({', '.join(f'{part} {count}' for part, count in items.items())})"
    if metrics["absent"]:
        yield f"absent: {', '.join(metrics['absent'])}"
    for kind, names in metrics["left_out"].items():
        yield f"left out: {len(names)} × {kind}"
    for what, count in metrics["counts"].items():
        yield f"{what}: {count}"
    for what, tool in metrics["tools"].items():
        yield f"{what}: {tool}"
    made_by = [
        f"{name}={value!r}" for name, value in _flat(metrics.get("made_by", {})) if value not in (None, "") and "weights." not in name
    ]
    if made_by:
        yield f"answers by: {', '.join(made_by)}"
    options = [f"{name}={value}" for name, value in _flat(metrics["options"]) if name != "name"]
    if options:
        yield f"options: {', '.join(options)}"
    yield from metrics["remarks"]


def _flat(values: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Nested options by the dotted names under which they are set."""
    for name, value in values.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value
