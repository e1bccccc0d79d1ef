"""What was measured as rows, a table and a JSON file."""

import json
import re
import statistics
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from benchmarks.harness.compare import Measured, Program, Task, median, seconds_a_pair
from benchmarks.harness.machine import facts, peak_flops
from benchmarks.harness.work import least, rows_of

RESULTS = Path(__file__).parent.parent / "results"
GIB = 2**30


def rows(programs: Sequence[Program], task: Task, measured: Measured, peak: float | None) -> list[dict[str, Any]]:
    """A row a program. Ratios to each peer are paired round by round; `less_work` · `better_use` is about `times`."""
    minimum = least(task.size, task.objective)
    tokens = task.size.row * sum(len(row.branches) for row in rows_of(task.size, task.objective))
    made = []
    for program in programs:
        results, batch, work = measured.rounds[program.name], measured.best[program.name], program.work(task.size)
        seconds = [median(result) for result in results]
        pace = [seconds_a_pair(result) for result in results]
        rate = 1 / statistics.median(pace)
        versus = {}
        for peer in programs:
            if peer.peer and not program.peer:
                times = [seconds_a_pair(theirs) / own for theirs, own in zip(measured.rounds[peer.name], pace, strict=True)]
                ratio = statistics.median(times)
                less = peer.work(task.size) / work
                versus[peer.name] = {
                    "times": ratio,
                    "least": min(times),
                    "greatest": max(times),
                    "less_work": less,
                    "better_use": ratio / less,
                }
        made.append(
            {
                "program": program.name,
                "batch": batch,
                "seconds": statistics.median(seconds),
                "least": min(seconds),
                "greatest": max(seconds),
                "once_seconds_a_pair": results[0].get("once_seconds_a_pair", 0.0),
                "pairs_per_second": rate,
                "tokens_per_second": tokens * rate,
                "flops_per_pair": work,
                "flops_per_second": work * rate,
                "utilisation": None if peak is None else work * rate / peak,
                "model_utilisation": None if peak is None else minimum * rate / peak,
                "peak_bytes": max(result["peak_bytes"] for result in results),
                "peak_bytes_beyond_weights": max(result["peak_bytes"] - result["weight_bytes"] for result in results),
                "data_wait": statistics.median(sum(r["waits"]) / sum(r["seconds"]) for r in results) if "waits" in results[0] else None,
                "trained_parameters": results[0]["trained_parameters"],
                "versus": versus,
            }
        )
    return made


def table(made: Sequence[dict[str, Any]], title: str) -> Table:
    """For the terminal."""
    peers = list(dict.fromkeys(name for row in made for name in row["versus"]))
    shown = Table(title=title, box=None, title_justify="left")
    shown.add_column("program", no_wrap=True)
    headings = (
        "pairs\na step",
        "ms\na step",
        "range",
        "pairs/s",
        "TFLOP\na pair",
        "used of\npeak",
        "least work\nof peak",
        "GiB beyond\nweights",
    )
    for heading in headings:
        shown.add_column(heading, justify="right", no_wrap=True)
    for name in peers:
        shown.add_column(f"× {name}\n= less work · better use", justify="right", no_wrap=True)
    for row in made:
        versus = [row["versus"].get(name) for name in peers]
        shown.add_row(
            row["program"],
            str(row["batch"]),
            f"{1000 * row['seconds']:.1f}",
            f"{1000 * row['least']:.1f} – {1000 * row['greatest']:.1f}",
            f"{row['pairs_per_second']:.3g}",
            f"{row['flops_per_pair'] / 1e12:.3g}",
            "" if row["utilisation"] is None else f"{row['utilisation']:.1%}",
            "" if row["model_utilisation"] is None else f"{row['model_utilisation']:.1%}",
            f"{row['peak_bytes_beyond_weights'] / GIB:.2f}",
            *("" if v is None else f"{v['times']:.2f} = {v['less_work']:.2f} · {v['better_use']:.2f}" for v in versus),
        )
    return shown


def memory(measured: Measured) -> dict[str, dict[str, Any]]:
    """Bytes beyond the base weights by program and batch, from the search for the best batch: what compares at an equal batch."""
    return {
        name: {
            str(pairs): result.get("failed") or result["peak_bytes"] - result["weight_bytes"] for pairs, result in tried.items() if result
        }
        for name, tried in measured.tried.items()
    }


def report_comparison(name: str, programs: Sequence[Program], task: Task, measured: Measured, *, out: Path | None, keep: bool) -> None:
    """Prints the table and writes the JSON where asked."""
    device = next(iter(measured.devices.values()))
    peak = peak_flops(device, task.dtype)
    made = rows(programs, task, measured, peak)
    Console(width=max(Console().width, 160)).print(table(made, f"{name}, {task.size.name}, {task.dtype}, {device}"))
    content = {
        "size": task.size.facts(),
        "dtype": task.dtype,
        "objective": task.objective,
        "peak_flops": peak,
        "least_flops_per_pair": least(task.size, task.objective),
        "rows": made,
        "memory_beyond_weights": memory(measured),
        "agreement": measured.agreement,
        "versions": measured.versions,
        "rounds": measured.rounds,
    }
    write(f"{name}-{task.size.name}", device, content, out=out, keep=keep)


def write(name: str, device: str, content: dict[str, Any], *, out: Path | None, keep: bool) -> None:
    """The content with the machine's facts, to `out` and, where it is kept, to results/<name>-<device>-<date>.json."""
    made = facts()
    label = re.sub(r"[^a-z0-9]+", "-", device.lower()).strip("-")
    kept = RESULTS / f"{name}-{label}-{made['date'][:10]}.json"
    for path in [out] * (out is not None) + [kept] * keep:
        path.write_text(json.dumps({"benchmark": name, "device": device, "machine": made, **content}, indent=1) + "\n")
