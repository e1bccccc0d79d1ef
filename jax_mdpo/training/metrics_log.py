"""metrics.jsonl, skipped.jsonl and TensorBoard events, written by process 0 and continued without gaps or repetitions."""

import math
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from tensorboardX import SummaryWriter

from jax_mdpo.training.json_lines import JsonLines, cut
from jax_mdpo.training.processes import is_main
from jax_mdpo.training.run_directory import RunDirectory

TRAINING_DATA, HELD_OUT_DATA = "data", "eval_data"  # the configuration's names of a run's data sets


class LeftOut(NamedTuple):
    """A record that cannot be used, and why. data: which data set it is of; an id may occur in both."""

    id: str | int
    reason: str
    data: str = TRAINING_DATA


class MetricsLog:
    """The run's records from step `start` + 1 on: whatever was written beyond `start` is cut off first.

    In metrics.jsonl each step stands exactly once, in skipped.jsonl each record. On processes other than 0 nothing is written.
    """

    def __init__(self, run: RunDirectory, start: int):
        self._writes = is_main()
        if not self._writes:
            return
        cut(run.metrics, lambda line: isinstance(line.get("step"), int) and line["step"] <= start)
        self._listed = {(line.get("data", TRAINING_DATA), line.get("id")) for line in cut(run.skipped, lambda _: True)}
        self._metrics, self._skipped = JsonLines(run.metrics), JsonLines(run.skipped)
        self._events = SummaryWriter(str(run.events), purge_step=start + 1 if run.resuming else None)

    @property
    def skipped_count(self) -> int:
        """How many records were left out since the run began (on process 0)."""
        return len(self._listed) if self._writes else 0

    def write(self, step: int, values: Mapping[str, float]) -> None:
        """One object for `step` (1 is the first): `values` after the step's number."""
        if not self._writes:
            return
        self._metrics.append({"step": step, **values})
        for name, value in values.items():
            if math.isfinite(value):
                self._events.add_scalar(name, value, step)

    def skip(self, records: Iterable[LeftOut]) -> None:
        """Lists records that were left out; one that is listed already, from an earlier epoch or evaluation, is not repeated."""
        if not self._writes:
            return
        for record in records:
            if (record.data, record.id) not in self._listed:
                self._listed.add((record.data, record.id))
                self._skipped.append(record._asdict())

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
