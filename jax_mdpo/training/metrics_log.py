"""metrics.jsonl, skipped.jsonl and TensorBoard events, written by process 0 and continued without gaps or repetitions."""

import math
from collections.abc import Iterable, Mapping
from typing import Any

from tensorboardX import SummaryWriter

from jax_mdpo.training.json_lines import JsonLines, cut
from jax_mdpo.training.processes import is_main
from jax_mdpo.training.run_directory import RunDirectory


class MetricsLog:
    """The run's records from step `start` + 1 on: whatever was written beyond `start` is cut off first.

    In metrics.jsonl each step stands exactly once, in skipped.jsonl each record. On processes other than 0 nothing is written.
    """

    def __init__(self, run: RunDirectory, start: int):
        self._writes = is_main()
        if not self._writes:
            return
        cut(run.metrics, lambda line: isinstance(line.get("step"), int) and line["step"] <= start)
        self._skipped_ids = {line.get("id") for line in cut(run.skipped, lambda _: True)}
        self._metrics, self._skipped = JsonLines(run.metrics), JsonLines(run.skipped)
        self._events = SummaryWriter(str(run.events), purge_step=start + 1 if run.resuming else None)

    @property
    def skipped_count(self) -> int:
        """How many records were left out since the run began (on process 0)."""
        return len(self._skipped_ids) if self._writes else 0

    def write(self, step: int, values: Mapping[str, float]) -> None:
        """One object for `step` (1 is the first): `values` after the step's number."""
        if not self._writes:
            return
        self._metrics.append({"step": step, **values})
        for name, value in values.items():
            if math.isfinite(value):
                self._events.add_scalar(name, value, step)

    def skip(self, records: Iterable[tuple[str | int, str]]) -> None:
        """Lists (id, reason) of records that were left out; one that is listed already, from an earlier epoch, is not repeated."""
        if not self._writes:
            return
        for identity, reason in records:
            if identity not in self._skipped_ids:
                self._skipped_ids.add(identity)
                self._skipped.append({"id": identity, "reason": reason})

    def sync(self) -> None:
        """Returns when everything written so far is on disk: called before a checkpoint that contains it."""
        if self._writes:
            self._metrics.sync()
            self._skipped.sync()
            self._events.flush()

    def close(self) -> None:
        if self._writes:
            self._metrics.close()
            self._skipped.close()
            self._events.close()


def plain(values: Mapping[str, Any]) -> dict[str, float]:
    """Scalars fetched from the device as Python numbers, ready for JSON."""
    return {name: float(value) for name, value in values.items()}
