"""The command line that the comparisons share."""

import argparse
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from benchmarks.harness.compare import Program, Task, compare
from benchmarks.harness.machine import warn_if_busy
from benchmarks.harness.report import report_comparison
from benchmarks.harness.sizes import SIZES
from benchmarks.harness.world import prepare_world

PAIRS = 48  # of a world: more than any batch that is tried


def parser(description: str | None) -> argparse.ArgumentParser:
    """What every command takes."""
    made = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    made.add_argument("--size", choices=SIZES, default="tiny")
    made.add_argument("--dtype", choices=["float32", "bfloat16"], default="float32", help="of weights and activations (bfloat16 on a GPU)")
    made.add_argument("--batches", type=int, nargs="+", help="pairs a step that are tried; by default the size's")
    made.add_argument("--steps", type=int, help="of each run, after the warm-up; by default the size's")
    made.add_argument("--rounds", type=int, help="how often each program runs; by default the size's")
    made.add_argument(
        "--recomputed",
        action="store_true",
        help="add the programs that compute activations again, for a device whose memory limits the batch",
    )
    made.add_argument("--scratch", type=Path, help="where checkpoint and data are made, and kept for the next time")
    output(made)
    return made


def output(made: argparse.ArgumentParser) -> None:
    """Where the JSON goes."""
    made.add_argument("--out", type=Path, help="write everything measured to this JSON file")
    made.add_argument("--keep", action="store_true", help="write it to benchmarks/results, too")


@contextmanager
def scratch(given: Path | None) -> Iterator[Path]:
    """The folder given, or a temporary one."""
    if given is not None:
        yield given.absolute()
        return
    with tempfile.TemporaryDirectory() as temporary:
        yield Path(temporary)


def run_comparison(name: str, objective: str, programs: Sequence[Program], arguments: argparse.Namespace) -> None:
    """World, runs and report. One of ours comes first: it says which pairs the others are checked on."""
    warn_if_busy()
    size = SIZES[arguments.size]
    with scratch(arguments.scratch) as folder:
        world = folder / f"{size.name}-{arguments.dtype}"
        prepare_world(world, size, arguments.dtype, PAIRS)
        task = Task(
            folder=world,
            size=size,
            dtype=arguments.dtype,
            objective=objective,
            batches=tuple(arguments.batches or size.batches),
            steps=arguments.steps or size.steps,
            warm_up=size.warm_up,
            rounds=arguments.rounds or size.rounds,
        )
        report_comparison(name, programs, task, compare(programs, task), out=arguments.out, keep=arguments.keep)
