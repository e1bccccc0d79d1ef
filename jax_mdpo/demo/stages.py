"""Time and memory of a program's stages."""

import resource
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from rich.table import Table

UNIT = 1 if sys.platform == "darwin" else 1024  # of ru_maxrss: bytes there, KiB elsewhere


@dataclass
class Stages:
    """`with stages("train"): …` for each stage in turn.

    peak: the most memory that the process had held by the end of the stage, in bytes: it never falls.
    """

    finished: list[tuple[str, float, int]] = field(default_factory=list)

    @contextmanager
    def __call__(self, name: str) -> Iterator[None]:
        began = time.perf_counter()
        yield
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * UNIT
        self.finished.append((name, time.perf_counter() - began, peak))

    def rows(self) -> list[dict[str, Any]]:
        """stage, seconds, peak_bytes."""
        return [{"stage": name, "seconds": round(seconds, 3), "peak_bytes": peak} for name, seconds, peak in self.finished]

    def table(self) -> Table:
        """For the terminal."""
        table = Table("stage", box=None)
        table.add_column("seconds", justify="right")
        table.add_column("peak memory, MiB", justify="right")
        for name, seconds, peak in self.finished:
            table.add_row(name, f"{seconds:.1f}", f"{peak / 2**20:.0f}")
        table.add_row("total", f"{sum(seconds for _, seconds, _ in self.finished):.1f}", "", style="bold")
        return table
