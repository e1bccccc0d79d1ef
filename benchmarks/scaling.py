"""How jax_mdpo's step grows: milliseconds as response, prompt, batch and model grow, and the exponent of a power law through them.

    python -m benchmarks.scaling [--size small] [--dtype bfloat16] [--points 4] [--rounds N] [--keep]

Each axis doubles one quantity, all else as the size has it; the model grows in width, heads and MLP alike. The local exponent is that of
the last doubling: 1 is linear, and below 1 there is a part that does not grow. Points are visited by turns.
"""

import argparse
import statistics
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

from benchmarks.harness.command import parser, scratch
from benchmarks.harness.compare import Task, median, run
from benchmarks.harness.machine import warn_if_busy
from benchmarks.harness.report import write
from benchmarks.harness.sizes import SIZES, Size
from benchmarks.harness.variants import ours
from benchmarks.harness.work import arithmetic_sizes, shared
from benchmarks.harness.world import prepare_world

PROGRAM = ours("online", "mdpo")
PAIRS = 16  # of a world; at least the largest batch
WIDTHS = ("hidden_size", "intermediate_size", "num_attention_heads", "num_key_value_heads")


@dataclass(frozen=True)
class Axis:
    """unit: what the value counts. at: the size and batch `times` the base's, and the value there."""

    unit: str
    at: Callable[[Size, int, int], tuple[Size, int, float]]


def _response(size: Size, batch: int, times: int) -> tuple[Size, int, float]:
    return replace(size, response=times * size.response), batch, times * size.response


def _prompt(size: Size, batch: int, times: int) -> tuple[Size, int, float]:
    return replace(size, prompt=times * size.prompt), batch, times * size.prompt


def _batch(size: Size, batch: int, times: int) -> tuple[Size, int, float]:
    return size, times * batch, times * batch


def _model(size: Size, batch: int, times: int) -> tuple[Size, int, float]:
    grown = replace(size, text={**size.text, **{name: times * size.text[name] for name in WIDTHS}})
    return grown, batch, arithmetic_sizes(grown).decoder / 1e6


AXES = {
    "response": Axis("tokens", _response),
    "prompt": Axis("tokens", _prompt),
    "batch": Axis("pairs", _batch),
    "model": Axis("M decoder parameters", _model),
}


@dataclass(frozen=True)
class Point:
    """One measurement: where it stands on its axis, and what is run there."""

    axis: str
    value: float
    task: Task

    @property
    def name(self) -> str:
        """The same for points that run the same."""
        return f"{self.task.folder.name}, {self.task.batches[0]} pairs"


def points(base: Size, count: int, batch: int, folder: Path, arguments: argparse.Namespace) -> list[Point]:
    """Every axis from the base upwards, doubling. The base itself stands on each."""
    made = []
    for name, axis in AXES.items():
        for step in range(count):
            size, pairs, value = axis.at(base, batch, 2**step)
            shape = "base" if size == base else f"{name}-{step}"
            world = folder / f"scaling-{base.name}-{arguments.dtype}-{shape}"
            steps = arguments.steps or size.steps
            made.append(Point(name, value, Task(world, size, arguments.dtype, "mdpo", (pairs,), steps, size.warm_up, 1)))
    return made


def exponent(values: list[float], seconds: list[float]) -> float:
    """The slope of log seconds over log values, least squares."""
    return float(np.polyfit(np.log(values), np.log(seconds), 1)[0])


def measure(chosen: list[Point], rounds: int) -> tuple[list[list[dict[str, Any]]], str]:
    """Results by point, one a round, and the device. What several axes share is run once a round."""
    tasks = {point.name: point.task for point in chosen}
    results: dict[str, list[dict[str, Any]]] = {name: [] for name in tasks}
    device = ""
    for number in range(rounds):
        for name, task in tasks.items():
            prepare_world(task.folder, task.size, task.dtype, PAIRS)
            reply = run(PROGRAM, task, task.batches)
            result = reply["runs"][0]
            results[name].append(result)
            device = reply["device"]
            shown = result.get("failed") or f"{1000 * median(result):.1f} ms"
            print(f"round {number + 1}/{rounds}  {name}: {shown}", file=sys.stderr)
    return [results[point.name] for point in chosen], device


def summary(chosen: list[Point], results: list[list[dict[str, Any]]]) -> dict[str, Any]:
    """By axis: values, seconds, operations, and the exponents of both, over all and over the last doubling."""
    made = {}
    for name, axis in AXES.items():
        rows = [
            (point, statistics.median(median(result) for result in found))
            for point, found in zip(chosen, results, strict=True)
            if point.axis == name and "failed" not in found[0]
        ]
        values, seconds = [point.value for point, _ in rows], [took for _, took in rows]
        work = [point.task.batches[0] * shared(point.task.size, "mdpo") for point, _ in rows]
        made[name] = {
            "unit": axis.unit,
            "values": values,
            "seconds": seconds,
            "flops": work,
            "exponent": exponent(values, seconds),
            "last_exponent": exponent(values[-2:], seconds[-2:]),
            "flops_exponent": exponent(values, work),
        }
    return made


def table(made: dict[str, Any], title: str) -> Table:
    """For the terminal."""
    shown = Table(title=title, box=None, title_justify="left")
    for heading in ("grows", "values", "ms a step", "exponent", "of the last doubling", "of the operations"):
        shown.add_column(heading, justify="left" if heading == "grows" else "right")
    for name, axis in made.items():
        shown.add_row(
            f"{name}, {axis['unit']}",
            " ".join(f"{value:.3g}" for value in axis["values"]),
            " ".join(f"{1000 * seconds:.3g}" for seconds in axis["seconds"]),
            *(f"{axis[key]:.2f}" for key in ("exponent", "last_exponent", "flops_exponent")),
        )
    return shown


def main() -> None:
    given = parser(__doc__)
    given.set_defaults(size="small", rounds=1)
    given.add_argument("--points", type=int, default=4, help="of each axis, each twice the one before")
    arguments = given.parse_args()
    warn_if_busy()
    base = SIZES[arguments.size]
    with scratch(arguments.scratch) as folder:
        chosen = points(base, arguments.points, (arguments.batches or [2])[0], folder, arguments)
        results, device = measure(chosen, arguments.rounds)
    made = summary(chosen, results)
    Console(width=max(Console().width, 140)).print(table(made, f"scaling from {base.name}, {arguments.dtype}, {device}"))
    content = {"size": base.facts(), "dtype": arguments.dtype, "axes": made, "rounds": results}
    write(f"scaling-{base.name}", device, content, out=arguments.out, keep=arguments.keep)


if __name__ == "__main__":
    main()
