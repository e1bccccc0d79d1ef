"""How long a run takes to its first steps: with nothing compiled before, with the compilation cache filled, and resumed.

    python -m benchmarks.start [--size tiny|100m|7b] [--dtype bfloat16] [--rounds N] [--keep]

The program is started as a user starts it (`jax_mdpo train CONFIG`), and the clock runs from there to the first line of its metrics.jsonl,
which it writes once the second step is queued: loading, compiling and one step, or two, are in it. Then it is told to stop (SIGTERM), which
saves its state, and started with --resume: the clock runs to the first line of a step that was not done before.
"""

import json
import os
import shutil
import signal
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import yaml
from rich.console import Console
from rich.table import Table

from benchmarks.harness.command import PAIRS, parser, scratch
from benchmarks.harness.machine import ROOT, warn_if_busy
from benchmarks.harness.report import write
from benchmarks.harness.sizes import SIZES
from benchmarks.harness.world import prepare_world

STARTS = ("cold", "cached", "resumed")
EPOCHS = 1000  # more than anybody waits for: the run is stopped
PATIENCE = 1800  # seconds until a run that writes nothing is given up


def first_steps(config: Path, out: Path, cache: Path, *, resume: bool = False) -> float:
    """Seconds from starting the program to its first new line in metrics.jsonl; then it is stopped and has saved."""
    before = _lines(out)
    command = [sys.executable, "-m", "jax_mdpo", "train", str(config), f"out={out}", *(["--resume"] if resume else [])]
    environment = {**os.environ, "JAX_COMPILATION_CACHE_DIR": str(cache)}
    with (config.parent / "start.log").open("w") as log:
        began = time.perf_counter()
        program = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=log, stderr=log)
        while _lines(out) <= before:
            if program.poll() is not None or time.perf_counter() - began > PATIENCE:
                program.kill()
                sys.exit(f"the run wrote no metrics:\n{Path(log.name).read_text()[-3000:]}")
            time.sleep(0.005)
        seconds = time.perf_counter() - began
        program.send_signal(signal.SIGTERM)
        program.wait()
    return seconds


def _lines(out: Path) -> int:
    path = out / "metrics.jsonl"
    return path.read_bytes().count(b"\n") if path.exists() else 0


def measure(spec: dict[str, Any], pairs: int, rounds: int) -> dict[str, list[float]]:
    """Seconds by kind of start, one a round; each round begins with an empty cache."""
    config = _config(spec, pairs)
    seconds: dict[str, list[float]] = {name: [] for name in STARTS}
    for number in range(rounds):
        cache, out = config.parent / "compiled", config.parent / "run"
        for folder in (cache, out):
            shutil.rmtree(folder, ignore_errors=True)
        seconds["cold"].append(first_steps(config, out, cache))
        shutil.rmtree(out)
        seconds["cached"].append(first_steps(config, out, cache))
        seconds["resumed"].append(first_steps(config, out, cache, resume=True))
        print(f"round {number + 1}/{rounds}  " + ", ".join(f"{name} {found[-1]:.1f} s" for name, found in seconds.items()), file=sys.stderr)
    return seconds


def _config(spec: dict[str, Any], pairs: int) -> Path:
    """The run's configuration as a file."""
    from benchmarks.programs.ours import run_values

    path = Path(spec["folder"]) / "start" / "config.yaml"
    path.parent.mkdir(exist_ok=True)
    values = run_values(spec, pairs)
    values.pop("steps")
    path.write_text(yaml.safe_dump({**values, "epochs": EPOCHS}))
    return path


def main() -> None:
    arguments = parser(__doc__).parse_args()
    warn_if_busy()
    size = SIZES[arguments.size]
    pairs = (arguments.batches or size.batches)[0]
    with scratch(arguments.scratch) as folder:
        world = folder / f"{size.name}-{arguments.dtype}"
        prepare_world(world, size, arguments.dtype, PAIRS)
        spec = {"folder": str(world), "dtype": arguments.dtype, "objective": "mdpo", "steps": 0, "warm_up": 0}
        seconds = measure(spec, pairs, arguments.rounds or size.rounds)
        device = _device()
    shown = Table(title=f"seconds to the first steps, {size.name}, {arguments.dtype}, {device}", box=None, title_justify="left")
    for heading in ("start", "median", "range"):
        shown.add_column(heading, justify="left" if heading == "start" else "right")
    for name, found in seconds.items():
        shown.add_row(name, f"{statistics.median(found):.1f}", f"{min(found):.1f} – {max(found):.1f}")
    Console().print(shown)
    content = {"size": size.facts(), "dtype": arguments.dtype, "batch": pairs, "seconds": seconds}
    write(f"start-{size.name}", device, content, out=arguments.out, keep=arguments.keep)


def _device() -> str:
    """The device's name, asked in a process of its own."""
    asked = "import json, jax; print(json.dumps(jax.devices()[0].device_kind))"
    return json.loads(subprocess.run([sys.executable, "-c", asked], capture_output=True, text=True, check=True).stdout.splitlines()[-1])


if __name__ == "__main__":
    main()
