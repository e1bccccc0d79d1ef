"""Pairs per second of a tiny LLaVA: jax_mdpo's training step against TRL's DPOTrainer, on this machine, in this session.

    bash benchmarks/trl_environment.sh
    .venv/bin/python benchmarks/step_vs_trl.py

Both read the same checkpoint (0.9 M parameters) and the same pairs (rows of 37 tokens, 16 of them the image), train the same LoRA
matrices (every linear layer of the decoder, rank 16) in float32, and count everything from the end of one step to the end of the next:
reading JPEG files (jax_mdpo; TRL holds them decoded), preparing the batch, the step. Runs alternate, each in a process of its own.

Give it a quiet machine: a second busy program slows torch's threads tenfold and jax's twofold, which would flatter jax_mdpo. The
fastest tenth of the steps stands beside the median for that reason.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

from rich.console import Console
from rich.table import Table

HERE = Path(__file__).parent
WARM_UP = 10  # steps of each run that do not count: compilation, allocators, caches
BUSY = 0.7  # load average
PEER = "TRL, DPO"
TRL_RUNS = {PEER: [], "TRL, DPO, gradient checkpointing (its default)": ["--checkpointing"]}
OUR_RUNS = {
    "jax_mdpo, DPO": ["--objective", "dpo"],
    "jax_mdpo, mDPO (three objectives)": ["--objective", "mdpo"],
    "jax_mdpo, mDPO, rematerialised": ["--objective", "mdpo", "--checkpointing"],
}


def run_once(command: list[str], environment: Mapping[str, str] | None = None) -> dict:
    """The JSON object that the command prints on its last line."""
    done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, **(environment or {})})
    if done.returncode:
        sys.exit(f"{' '.join(command)} failed:\n{done.stderr[-3000:]}")
    return json.loads(done.stdout.splitlines()[-1])


def measure(folder: Path, trl_python: str, *, pairs: int, steps: int, rounds: int) -> dict[str, list[dict]]:
    """Results by name, one a round; every round runs each program once."""
    common = [str(folder), "--pairs", str(pairs), "--steps", str(steps + WARM_UP)]
    commands = {name: [trl_python, str(HERE / "trl_step.py"), *common, *options] for name, options in TRL_RUNS.items()}
    commands |= {name: [sys.executable, str(HERE / "our_step.py"), *common, *options] for name, options in OUR_RUNS.items()}
    results: dict[str, list[dict]] = {name: [] for name in commands}
    for number in range(rounds):
        order = list(commands) if number % 2 == 0 else list(reversed(commands))
        for name in order:
            found = run_once(commands[name], {"HF_HUB_OFFLINE": "1"})
            found["median"] = statistics.median(found["seconds"][WARM_UP:])
            found["fast"] = statistics.quantiles(found["seconds"][WARM_UP:], n=10)[0]
            results[name].append(found)
            print(f"round {number + 1}/{rounds}  {name}: {found['median'] * 1000:.1f} ms a step", file=sys.stderr)
    return results


def summary(results: Mapping[str, list[dict]], pairs: int) -> list[dict]:
    """A row a program: the median over rounds of the median step, and the ratio to the peer, paired round by round."""
    rows = []
    for name, runs in results.items():
        medians = [run["median"] for run in runs]
        fast = min(run["fast"] for run in runs)
        ratios = [peer["median"] / median for peer, median in zip(results[PEER], medians, strict=True)]
        rows.append(
            {
                "name": name,
                "seconds": statistics.median(medians),
                "least": min(medians),
                "greatest": max(medians),
                "fastest_tenth": fast,
                "pairs_per_second": pairs / statistics.median(medians),
                "times_the_peer": statistics.median(ratios),
                "times_the_peer_fastest": min(run["fast"] for run in results[PEER]) / fast,
                "trained_parameters": runs[0]["trained_parameters"],
            }
        )
    return rows


def table(rows: list[dict]) -> Table:
    """For the terminal."""
    made = Table("program", box=None)
    for heading in ("ms a step", "least to greatest", "pairs/s", f"× {PEER}", "fastest tenth, ms", f"× {PEER}"):
        made.add_column(heading, justify="right")
    for row in rows:
        spread = f"{row['least'] * 1000:.1f} – {row['greatest'] * 1000:.1f}"
        made.add_row(
            row["name"],
            f"{row['seconds'] * 1000:.1f}",
            spread,
            f"{row['pairs_per_second']:.0f}",
            f"{row['times_the_peer']:.2f}",
            f"{row['fastest_tenth'] * 1000:.1f}",
            f"{row['times_the_peer_fastest']:.2f}",
        )
    return made


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trl-python", default=str(HERE.parent / ".venv-trl" / "bin" / "python"))
    parser.add_argument("--pairs", type=int, default=4, help="a batch")
    parser.add_argument("--steps", type=int, default=60, help="of each run, after the warm-up")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--out", type=Path, help="write everything measured as JSON")
    arguments = parser.parse_args()
    if os.getloadavg()[0] > BUSY:
        print(f"warning: the load is {os.getloadavg()[0]:.1f} before the start; other programs will spoil the figures", file=sys.stderr)
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch) / "data"
        subprocess.run([sys.executable, str(HERE / "step_data.py"), str(folder), "--pairs", str(16 * arguments.pairs)], check=True)
        results = measure(folder, arguments.trl_python, pairs=arguments.pairs, steps=arguments.steps, rounds=arguments.rounds)
    rows = summary(results, arguments.pairs)
    Console().print(table(rows))
    if arguments.out:
        arguments.out.write_text(json.dumps({"rows": rows, "runs": results, "cores": os.cpu_count()}, indent=2) + "\n")


if __name__ == "__main__":
    main()
