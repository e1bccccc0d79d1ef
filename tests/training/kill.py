"""Runs a program, sends it a signal at a chosen moment, and compares what runs leave behind. For any trainer with our run directory."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple
from unittest.mock import ANY as ANY  # stands for any output in a comparison

PATIENCE = 120.0  # seconds until a moment that does not come fails the test


class Ended(NamedTuple):
    """How a program ended: as subprocess has it, so -9 after SIGKILL. seen: the moment of the signal came before the end."""

    code: int
    output: str
    seen: bool


def run(command: Sequence[str], when: Callable[[], bool] | None = None, send: signal.Signals = signal.SIGKILL) -> Ended:
    """Runs `command` to its end; as soon as `when()` holds, it is sent `send` once. Output and errors come as one text."""
    program = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environment())
    try:
        seen = _signalled(program, when, send) if when else False
        output, _ = program.communicate(timeout=PATIENCE)
    finally:
        program.kill()
        program.wait()
    return Ended(program.returncode, output, seen)


def environment() -> dict[str, str]:
    """This process's environment for a child on CPU, with the same import path."""
    return {**os.environ, "JAX_PLATFORMS": "cpu", "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}


def _signalled(program: subprocess.Popen, when: Callable[[], bool], send: signal.Signals) -> bool:
    deadline = time.monotonic() + PATIENCE
    while program.poll() is None and time.monotonic() < deadline:
        if when():
            program.send_signal(send)
            return True
        time.sleep(0.0005)
    return False


def steps_logged(run_directory: Path) -> list[int]:
    """The step numbers of the whole lines in metrics.jsonl, in the file's order."""
    path = run_directory / "metrics.jsonl"
    content = path.read_text() if path.exists() else ""
    return [json.loads(line)["step"] for line in content.splitlines(keepends=True) if line.endswith("\n")]


def logged(run_directory: Path, step: int) -> Callable[[], bool]:
    """The moment when `step` stands in metrics.jsonl. After a kill choose one beyond what stands there already."""
    return lambda: step in steps_logged(run_directory)


def saving(run_directory: Path, step: int) -> Callable[[], bool]:
    """A moment when the checkpoint of `step` is being written and not yet complete."""
    return lambda: any((run_directory / "checkpoints").glob(f"{step}.orbax-checkpoint-tmp*"))


def saved(run_directory: Path, step: int) -> Callable[[], bool]:
    """The moment when the checkpoint of `step` is complete, digests included."""
    return lambda: (run_directory / "checkpoints" / str(step) / "digests.json").exists()
