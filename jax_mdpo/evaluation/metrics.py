"""The metrics.json of an evaluation, and the same for the eye."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from typing import Any

from rich.table import Table

from jax_mdpo.evaluation.answers.faults import Faults
from jax_mdpo.evaluation.benchmarking import Scored


def metrics(scored: Scored, *, absent: Sequence[str], faults: Faults, options: Mapping[str, Any]) -> dict[str, Any]:
    """Everything that the figures depend on beside them: counts of items, tools, options, and what is not in them.

    figures: as the official tool gives them; unrounded: before its last rounding.
    """
    report = scored.report
    return {
        "benchmark": options["name"],
        "figures": {
            row: {name: _rounded(value, report.decimals) for name, value in figures.items()} for row, figures in report.rows.items()
        },
        "unrounded": report.rows,
        "decimals": report.decimals,
        "items": dict(Counter(item.question.part for item in scored.items)),
        "absent": list(absent),
        "counts": dict(report.counts),
        "left_out": dict(faults.found),
        "tools": scored.tools,
        "options": dict(options),
    }


def _rounded(value: float, decimals: int) -> float:
    return value if isinstance(value, int) else round(value, decimals)


def tables(metrics: Mapping[str, Any]) -> Iterator[Table]:
    """A table for each run of rows with the same columns, under the official names."""
    decimals = metrics["decimals"]
    for columns, rows in groupby(metrics["figures"].items(), key=lambda row: tuple(row[1])):
        table = Table(metrics["benchmark"], *columns)
        for column in table.columns[1:]:
            column.justify = "right"
        for name, figures in rows:
            table.add_row(name, *(str(value) if isinstance(value, int) else f"{value:.{decimals}f}" for value in figures.values()))
        yield table


def notes(metrics: Mapping[str, Any]) -> Iterator[str]:
    """What stands under the tables: how many items, by which tools and options, and what is not in the figures."""
    items = metrics["items"]
    yield f"items: {sum(items.values())}" + (f" ({_listed(items)})" if len(items) > 1 else f" of {next(iter(items))}")
    if metrics["absent"]:
        yield f"absent: {', '.join(metrics['absent'])}"
    for kind, names in metrics["left_out"].items():
        yield f"left out: {len(names)} × {kind}"
    for what, count in metrics["counts"].items():
        yield f"{what}: {count}"
    for what, tool in metrics["tools"].items():
        yield f"{what}: {tool}"
    options = {name: value for name, value in metrics["options"].items() if name != "name"}
    if options:
        yield f"options: {_listed(options)}"


def _listed(values: Mapping[str, Any]) -> str:
    return ", ".join(f"{name} {value}" for name, value in values.items())
