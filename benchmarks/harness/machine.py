"""The machine that figures belong to: what it is, whether it is busy, and how fast it could be."""

import os
import platform
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from jax_mdpo.planning.chips import topology

ROOT = Path(__file__).parent.parent.parent
BUSY = 0.7  # load average
# Dense operations a second. bfloat16 is jax_mdpo/planning/chips.py's; float32 is without tensor cores, from the same data sheets:
# H100 SXM and H200 SXM 67 TFLOP/s, A100 19.5, L4 30.3.
FLOAT32 = {"h100": 6.7e13, "h200": 6.7e13, "a100": 1.95e13, "l4": 3.03e13}
TOPOLOGIES = {"h100": "h100", "h200": "h200", "a100": "a100-80", "l4": "l4"}


def facts() -> dict[str, Any]:
    """Date, processor and revision."""
    return {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "processor": _processor(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "system": platform.platform(),
        "load_before": os.getloadavg()[0],
        "revision": _revision(),
    }


def warn_if_busy() -> None:
    """A second busy program slows torch's spinning threads tenfold or more and jax's twofold, which would flatter jax_mdpo."""
    if os.getloadavg()[0] > BUSY:
        print(f"warning: the load is {os.getloadavg()[0]:.1f} before the start: other programs will spoil the figures", file=sys.stderr)


def peak_flops(device: str, dtype: str) -> float | None:
    """Operations a second of the device that a program named: published for GPUs, measured on a CPU, None for one not known here."""
    if device.lower() == "cpu":
        return measured_peak()
    kind = next((name for name in TOPOLOGIES if name in device.lower()), None)
    if kind is None:
        return None
    return topology(TOPOLOGIES[kind]).chip.flops if dtype == "bfloat16" else FLOAT32[kind]


def measured_peak(side: int = 3072, rounds: int = 5) -> float:
    """Of numpy's float32 matrix product on all cores, the best of a few."""
    a = np.random.default_rng(0).standard_normal((side, side), np.float32)
    best = float("inf")
    for _ in range(rounds):
        began = time.perf_counter()
        a @ a
        best = min(best, time.perf_counter() - began)
    return 2 * side**3 / best


def _processor() -> str:
    listed = Path("/proc/cpuinfo")
    lines = listed.read_text().splitlines() if listed.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def _revision() -> str | None:
    """The commit, with a + where files differ from it; None outside a repository."""
    try:
        done = subprocess.run(["git", "describe", "--always", "--dirty=+"], cwd=ROOT, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return None
    return done.stdout.strip()
