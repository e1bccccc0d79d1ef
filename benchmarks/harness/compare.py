"""Programs by turns: the best batch of each, alternating rounds, and a refusal to report what does not compute the same."""

import json
import os
import statistics
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.harness.machine import ROOT
from benchmarks.harness.sizes import Size
from benchmarks.harness.work import EPOCHS

OURS = "benchmarks.programs.ours"

# How far apart the programs' first losses, log-probabilities and gradient norms may be, relative to the larger. float32: the order of
# sums. bfloat16: eight bits of mantissa in every activation; a response's log-probability sums a hundred tokens' errors.
TOLERANCES = {
    "float32": {"loss": 1e-4, "chosen": 1e-4, "rejected": 1e-4, "gradient": 1e-3},
    "bfloat16": {"loss": 0.02, "chosen": 0.01, "rejected": 0.01, "gradient": 0.1},
}


@dataclass(frozen=True)
class Program:
    """What is run.

    module: a program of benchmarks/programs. work: operations a pair that it carries out. options: what it reads beside the task.
    python: the interpreter of its environment. peer: whether ours are compared with it. exact: whether its first step must have the
    others' loss; a quantised base has another.
    """

    name: str
    module: str
    work: Callable[[Size], int]
    options: Mapping[str, Any] = field(default_factory=dict)
    python: str = sys.executable
    peer: bool = False
    exact: bool = True


@dataclass(frozen=True)
class Task:
    """What all programs of a comparison do. batches: the pairs a step that are tried; each program then keeps to its best."""

    folder: Path
    size: Size
    dtype: str
    objective: str
    batches: tuple[int, ...]
    steps: int
    warm_up: int
    rounds: int


@dataclass
class Measured:
    """tried: each program's results by batch, from the search. best: its batch. rounds: its results, one a round."""

    tried: dict[str, dict[int, dict[str, Any]]]
    best: dict[str, int]
    rounds: dict[str, list[dict[str, Any]]]
    agreement: list[dict[str, Any]]
    devices: dict[str, str]
    versions: dict[str, dict[str, str]]


def compare(programs: Sequence[Program], task: Task) -> Measured:
    """Runs everything. Ends the program where a peer's first loss is not ours."""
    tried = {program.name: _search(program, task) for program in programs}
    best = {name: _best(results) for name, results in tried.items()}
    rounds: dict[str, list[dict[str, Any]]] = {program.name: [] for program in programs}
    replies: dict[str, dict[str, Any]] = {}
    firsts: dict[tuple[int, ...], dict[str, Any]] = {}
    agreement: list[dict[str, Any]] = []
    for number in range(task.rounds):
        for program in programs if number % 2 == 0 else reversed(programs):
            checks = [] if number or program.module == OURS else [list(ids) for ids in firsts]
            reply = run(program, task, (best[program.name],), checks=checks)
            [result] = reply.pop("runs")
            rounds[program.name].append(result)
            replies[program.name] = reply
            print(f"round {number + 1}/{task.rounds}  {program.name}: {1000 * median(result):.1f} ms a step", file=sys.stderr)
            if program.module == OURS and program.exact and number == 0:
                first = firsts.setdefault(tuple(result["first"]["ids"]), result["first"])
                agreement.append(agreed(program.name, result["first"], first, task.dtype))
            agreement += [agreed(program.name, check, firsts[tuple(check["ids"])], task.dtype) for check in reply.get("checks", [])]
    devices = {name: reply["device"] for name, reply in replies.items()}
    return Measured(tried, best, rounds, agreement, devices, {name: reply["versions"] for name, reply in replies.items()})


def run(
    program: Program, task: Task, batches: Sequence[int], *, checks: Sequence[Sequence[int]] = (), brief: bool = False
) -> dict[str, Any]:
    """The program's reply, from a process of its own. brief: a few steps only, for choosing the batch."""
    spec = {
        "folder": str(task.folder),
        "dtype": task.dtype,
        "objective": task.objective,
        "batches": list(batches),
        "steps": max(2, task.steps // 4) if brief else task.steps,
        "warm_up": min(2, task.warm_up) if brief else task.warm_up,
        "checks": [list(ids) for ids in checks],
        **program.options,
    }
    environment = {
        "HF_HUB_OFFLINE": "1",
        "JAX_COMPILATION_CACHE_DIR": str(task.folder / "xla"),
        "JAX_MDPO_CACHE": str(task.folder / "cache"),
        "XLA_PYTHON_CLIENT_MEM_FRACTION": "0.92",  # of a GPU's memory; by default jax leaves a quarter unused, torch takes what there is
        **os.environ,
    }
    command = [program.python, "-m", program.module]
    done = subprocess.run(command, input=json.dumps(spec), capture_output=True, text=True, cwd=ROOT, env=environment)
    if done.returncode:
        sys.exit(f"{program.name} failed:\n{done.stderr[-3000:]}")
    return json.loads(done.stdout.splitlines()[-1])


def median(result: Mapping[str, Any]) -> float:
    """Seconds of the median step."""
    return statistics.median(result["seconds"])


def seconds_a_pair(result: Mapping[str, Any]) -> float:
    """Of the median step, with the pair's share of what is made once and read in every epoch."""
    return median(result) / result["batch"] + result.get("once_seconds_a_pair", 0.0) / EPOCHS


def _search(program: Program, task: Task) -> dict[int, dict[str, Any]]:
    if len(task.batches) == 1:
        return {task.batches[0]: {}}
    results = {result["batch"]: result for result in run(program, task, task.batches, brief=True)["runs"]}
    for pairs, result in results.items():
        outcome = result.get("failed") or f"{1 / seconds_a_pair(result):.2f} pairs/s"
        print(f"{program.name}, {pairs} pairs a step: {outcome}", file=sys.stderr)
    return results


def _best(results: Mapping[int, Mapping[str, Any]]) -> int:
    if len(results) == 1:
        return next(iter(results))
    fitting = {pairs: seconds_a_pair(result) for pairs, result in results.items() if "failed" not in result}
    if not fitting:
        sys.exit(f"no batch of {sorted(results)} fits this device")
    return min(fitting, key=fitting.__getitem__)


def agreed(name: str, theirs: Mapping[str, Any], ours: Mapping[str, Any], dtype: str) -> dict[str, Any]:
    """Both sides' figures, or the end of the program where they differ."""
    for quantity, tolerance in TOLERANCES[dtype].items():
        if quantity in theirs:
            a, b = ours[quantity], theirs[quantity]
            if not abs(a - b) <= tolerance * max(abs(a), abs(b)):  # not: so that nan is refused, too
                sys.exit(
                    f"{name} does not compute what jax_mdpo does, nothing is reported: {quantity} {b}, expected {a} within {tolerance:.0e}"
                )
    return {"program": name, "pairs": theirs["ids"], "ours": dict(ours), "theirs": dict(theirs)}
