"""Time to the first token and decoding speed of greedy answers, next to transformers' generate.

    python -m benchmarks.generation [--size tiny|small|100m|7b] [--dtype bfloat16] [--batches 1 8] [--tokens 64] [--rounds N] [--keep]

Every program runs in a process of its own, alternately, on the same images and prompts. The time to the first token is that of reading
images and prompts and answering with one token; what an answer of many tokens takes more is decoding. In float32 the answers must be equal.
"""

import statistics
import sys
from typing import Any

from rich.console import Console
from rich.table import Table

from benchmarks.harness.command import PAIRS, parser, scratch
from benchmarks.harness.compare import Program, Task, run
from benchmarks.harness.machine import warn_if_busy
from benchmarks.harness.report import write
from benchmarks.harness.sizes import SIZES
from benchmarks.harness.world import prepare_world

BATCHES = (1, 8)  # questions answered together
REPETITIONS = 5  # of a round, of which the median counts


def main() -> None:
    made = parser(__doc__)
    made.add_argument("--tokens", type=int, default=64, help="of an answer, unless it ends before")
    arguments = made.parse_args()
    warn_if_busy()
    size, batches = SIZES[arguments.size], tuple(arguments.batches or BATCHES)
    ours = Program("jax_mdpo", "benchmarks.programs.answers_ours", lambda _: 0, {"tokens": arguments.tokens})
    theirs = Program("transformers", "benchmarks.programs.answers_torch", lambda _: 0, {"tokens": arguments.tokens}, peer=True)
    measured: dict[str, list[list[dict[str, Any]]]] = {ours.name: [], theirs.name: []}
    versions = {}
    with scratch(arguments.scratch) as folder:
        world = folder / f"{size.name}-{arguments.dtype}"
        prepare_world(world, size, arguments.dtype, PAIRS)
        task = Task(world, size, arguments.dtype, "", batches, arguments.steps or REPETITIONS, 0, arguments.rounds or size.rounds)
        for number in range(task.rounds):
            for program in (ours, theirs) if number % 2 == 0 else (theirs, ours):
                reply = run(program, task, batches)
                measured[program.name].append(reply["runs"])
                versions[program.name] = reply["versions"]
    if arguments.dtype == "float32":
        _require_equal(measured[ours.name][0], measured[theirs.name][0])
    rows = [_row(name, place, rounds) for place in range(len(batches)) for name, rounds in measured.items()]
    Console(width=120).print(table(rows, f"generation, {size.name}, {arguments.dtype}, {reply['device']}, {arguments.tokens} tokens"))
    content = {
        "size": size.facts(),
        "dtype": arguments.dtype,
        "tokens": arguments.tokens,
        "rows": rows,
        "versions": versions,
        "rounds": measured,
    }
    write(f"generation-{size.name}", reply["device"], content, out=arguments.out, keep=arguments.keep)


def _require_equal(ours: list[dict[str, Any]], theirs: list[dict[str, Any]]) -> None:
    for one, other in zip(ours, theirs, strict=True):
        if one["answers"] != other["answers"]:
            sys.exit(f"the programs answer differently at batch {one['batch']}, nothing is reported")


def _row(name: str, place: int, rounds: list[list[dict[str, Any]]]) -> dict[str, Any]:
    """Medians over rounds of each round's median."""
    runs = [of_round[place] for of_round in rounds]
    rows, tokens = runs[0]["batch"], sum(map(len, runs[0]["answers"]))
    first = [statistics.median(run["first"]) for run in runs]
    decoding = [statistics.median(run["whole"]) - once for run, once in zip(runs, first, strict=True)]
    return {
        "program": name,
        "batch": rows,
        "first_seconds": statistics.median(first),
        "tokens_per_second": statistics.median((tokens - rows) / seconds for seconds in decoding),
        "tokens": tokens,
    }


def table(rows: list[dict[str, Any]], title: str) -> Table:
    """For the terminal."""
    shown = Table(title=title, box=None, title_justify="left")
    for heading in ("questions", "program", "first token, ms", "tokens/s", "tokens"):
        shown.add_column(heading, justify="left" if heading == "program" else "right")
    for row in rows:
        first, speed = f"{1000 * row['first_seconds']:.1f}", f"{row['tokens_per_second']:.0f}"
        shown.add_row(str(row["batch"]), row["program"], first, speed, str(row["tokens"]))
    return shown


if __name__ == "__main__":
    main()
