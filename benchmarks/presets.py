"""What a step of each published objective costs next to dpo's: the time, beside the passes and the work that its views imply.

    python -m benchmarks.presets [--size small] [--batches 4] [--rounds N] [--keep]

Each preset of configs/objectives runs in a process of its own, the reference in every step, data ready in memory. Negatives that need
more than the world's records hold (a paired or retrieved image) are crops here: the step is the same. "Passes" count decoder passes over
one image with its answers: with a gradient, the policy's without one, the reference's.
"""

import statistics
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from benchmarks.harness.command import PAIRS, parser, scratch
from benchmarks.harness.compare import OURS, Program, Task, median, run
from benchmarks.harness.machine import warn_if_busy
from benchmarks.harness.objectives import needs_of
from benchmarks.harness.report import write
from benchmarks.harness.sizes import SIZES
from benchmarks.harness.work import shared
from benchmarks.harness.world import prepare_world
from jax_mdpo.core.views import NONE
from jax_mdpo.models.plan import plan

FIRST = "dpo"
FOLDER = Path(__file__).parent.parent / "configs" / "objectives"
GIB = 2**30


def main() -> None:
    arguments = parser(__doc__).parse_args()
    warn_if_busy()
    size = SIZES[arguments.size]
    names = sorted((path.stem for path in FOLDER.glob("*.yaml")), key=lambda name: (name != FIRST, name))
    pairs = (arguments.batches or [4])[0]
    with scratch(arguments.scratch) as folder:
        world = folder / f"{size.name}-{arguments.dtype}"
        prepare_world(world, size, arguments.dtype, PAIRS)
        steps, rounds = arguments.steps or size.steps, arguments.rounds or size.rounds
        task = Task(world, size, arguments.dtype, FIRST, (pairs,), steps, size.warm_up, rounds)
        measured: dict[str, list[dict[str, Any]]] = {name: [] for name in names}
        for number in range(task.rounds):
            for name in names if number % 2 == 0 else reversed(names):
                program = Program(name, OURS, lambda _: 0, {"feed": "ready", "objective": name})
                reply = run(program, task, (pairs,))
                measured[name] += reply["runs"]
    made = [_row(name, measured, shared(size, name) / shared(size, FIRST)) for name in names]
    Console(width=140).print(table(made, f"presets, {size.name}, {arguments.dtype}, {reply['device']}, {pairs} pairs a step"))
    content = {
        "size": size.facts(),
        "dtype": arguments.dtype,
        "pairs": pairs,
        "rows": made,
        "versions": reply["versions"],
        "rounds": measured,
    }
    write(f"presets-{size.name}", reply["device"], content, out=arguments.out, keep=arguments.keep)


def _row(name: str, measured: dict[str, list[dict[str, Any]]], work: float) -> dict[str, Any]:
    """Times are medians over rounds; the ratio is taken round by round."""
    ratios = [median(own) / median(first) for own, first in zip(measured[name], measured[FIRST], strict=True)]
    results = measured[name]
    return {
        "preset": name,
        **passes(name),
        "work": work,
        "seconds": statistics.median(median(result) for result in results),
        "times": statistics.median(ratios),
        "least": min(ratios),
        "greatest": max(ratios),
        "peak_bytes_beyond_weights": max(result["peak_bytes"] - result["weight_bytes"] for result in results),
    }


def passes(name: str) -> dict[str, int]:
    """Images that the tower looks at, and decoder passes over one image with its answers, of each kind."""
    run_plan = plan(needs_of(name))

    def count(model: str, *, gradient: bool) -> int:
        return sum(len(one.images) for one in run_plan.forwards if (one.model, one.gradient) == (model, gradient))

    return {
        "images": len([image for image in run_plan.images if image != NONE]),
        "learning": count("policy", gradient=True),
        "still": count("policy", gradient=False),
        "reference": count("reference", gradient=False),
    }


def table(made: list[dict[str, Any]], title: str) -> Table:
    """For the terminal."""
    shown = Table(title=title, box=None, title_justify="left")
    shown.add_column("preset", no_wrap=True)
    for heading in (
        "images",
        "passes\nlearning",
        "policy,\nstill",
        "reference",
        "work\n× dpo",
        "ms\na step",
        "time\n× dpo",
        "range",
        "GiB beyond\nweights",
    ):
        shown.add_column(heading, justify="right", no_wrap=True)
    for row in made:
        shown.add_row(
            row["preset"],
            *(str(row[name]) for name in ("images", "learning", "still", "reference")),
            f"{row['work']:.2f}",
            f"{1000 * row['seconds']:.1f}",
            f"{row['times']:.2f}",
            f"{row['least']:.2f} – {row['greatest']:.2f}",
            f"{row['peak_bytes_beyond_weights'] / GIB:.2f}",
        )
    return shown


if __name__ == "__main__":
    main()
