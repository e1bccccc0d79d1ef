"""How a command and the programs that it measures talk: one JSON object in, one out. Imports nothing that is measured."""

import ctypes
import json
import platform
import resource
import sys
import time
from collections.abc import Callable, Iterable
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

OUT_OF_MEMORY = "out of memory"


def serve(program: Callable[[dict[str, Any]], dict[str, Any]]) -> None:
    """Runs `program` on the object from standard input and prints its result as the last line."""
    print(json.dumps(program(json.load(sys.stdin))))


def versions(*packages: str) -> dict[str, str]:
    """Of Python and those of the packages that are installed."""
    found = {"python": platform.python_version()}
    for package in packages:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found


def time_steps(step: Callable[[], None], count: int) -> list[float]:
    """Seconds of each call; `step` returns when its work is done."""
    seconds = []
    for _ in range(count):
        began = time.perf_counter()
        step()
        seconds.append(time.perf_counter() - began)
    return seconds


def try_batches(
    batches: Iterable[int], measure: Callable[[int], dict[str, Any]], exhausted: Callable[[Exception], bool]
) -> list[dict[str, Any]]:
    """A result for each batch, smallest first; the first that does not fit ends the series and says so."""
    results = []
    for pairs in sorted(batches):
        try:
            results.append({"batch": pairs, **measure(pairs)})
        except Exception as error:
            if not exhausted(error):
                raise
            results.append({"batch": pairs, "failed": OUT_OF_MEMORY})
            break
    return results


def reset_process_peak() -> None:
    """Starts the count of process_peak anew, where the kernel allows it (Linux, proc(5): clear_refs), without what a compiler left."""
    if sys.platform == "linux":
        ctypes.CDLL(None).malloc_trim(0)
    clear = Path("/proc/self/clear_refs")
    if clear.exists():
        clear.write_text("5")


def process_peak() -> int:
    """The most bytes of memory that this process has held since reset_process_peak."""
    status = Path("/proc/self/status")
    if status.exists():
        line = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM"))
        return int(line.split()[1]) * 1024
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024
