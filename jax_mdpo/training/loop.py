"""The loop: feed, step, log, evaluate, save, and stop cleanly on a signal.

The device is kept busy: a step's metrics are read after the next step is queued, batches are sent ahead, saves run in the
background. Nothing that is read or written here changes what is computed, so a killed and resumed run ends bit for bit alike.
"""

import time
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from itertools import islice
from types import MappingProxyType
from typing import Any, NamedTuple

import jax

from jax_mdpo.core.batch import Batch, HostBatch
from jax_mdpo.core.errors import RunError
from jax_mdpo.training.checkpoints import Checkpoints
from jax_mdpo.training.counts import counted
from jax_mdpo.training.faults import check_best_metric, check_finite
from jax_mdpo.training.memory import peak_bytes
from jax_mdpo.training.metrics_log import HELD_OUT_DATA, LeftOut, MetricsLog, plain
from jax_mdpo.training.prefetch import Fed, prefetched
from jax_mdpo.training.processes import gathered, is_main
from jax_mdpo.training.programs import ProgramCount, Programs
from jax_mdpo.training.progress import Progress
from jax_mdpo.training.run_directory import RunDirectory
from jax_mdpo.training.settings import EVALUATION_PREFIX, LoopSettings
from jax_mdpo.training.signals import Interrupted, StopSignals, StopVote
from jax_mdpo.training.state import TrainState

Skipped = Iterable[tuple[str | int, str]]  # ids and reasons of records that were left out


class HeldOut(NamedTuple):
    """metrics: of a state, the same on every process. skipped: the held-out records that this process left out.

    notes: what the metrics mean, in words, for the console.
    """

    metrics: Mapping[str, float]
    skipped: Skipped = ()
    notes: tuple[str, ...] = ()


def together(evaluations: Sequence[Callable[[TrainState], HeldOut]]) -> Callable[[TrainState], HeldOut] | None:
    """All of them as one; None where there is none."""

    def evaluate(state: TrainState) -> HeldOut:
        found = [one(state) for one in evaluations]
        return HeldOut(
            {name: value for one in found for name, value in one.metrics.items()},
            [record for one in found for record in one.skipped],
            tuple(note for one in found for note in one.notes),
        )

    return evaluate if evaluations else None


@dataclass(frozen=True)
class Job:
    """What is trained.

    step: (state, batch) → (state, scalar metrics), compiled; it may reuse the old state's buffers.
    batches: from a number of steps done, the host batches that follow. put: a host batch's arrays onto the devices.
    steps: how many steps the whole run has. evaluate: metrics of a state that the step does not know: on held-out pairs, say.
    term_norms: the norm of each term's gradient in the step that takes this state and batch, compiled; it uses nothing up.
    skipped: the training records that were left out beforehand.
    """

    step: Callable[[TrainState, Batch], tuple[TrainState, Mapping[str, jax.Array]]]
    batches: Callable[[int], Iterator[HostBatch]]
    put: Callable[[Batch], Batch]
    steps: int
    evaluate: Callable[[TrainState], HeldOut] | None = None
    term_norms: Callable[[TrainState, Batch], Mapping[str, jax.Array]] | None = None
    skipped: tuple[tuple[str | int, str], ...] = ()


def fit(
    job: Job, state: TrainState, run: RunDirectory, settings: LoopSettings, *, identity: Mapping[str, str] = MappingProxyType({})
) -> TrainState:
    """Trains to `job.steps` and returns the last state, which is also the last checkpoint.

    state: where a new run starts; where `run.resuming`, the newest sound checkpoint replaces its values and the logs are cut back
    to it. identity: what a checkpoint belongs to (see Checkpoints). A state handed in is used up.
    Raises Interrupted, with the state saved, after SIGTERM or SIGINT; RunError on a loss that is not finite.
    """
    with ExitStack() as stack:
        checkpoints = stack.enter_context(Checkpoints(run.checkpoints, settings.checkpoint, identity))
        if run.resuming and checkpoints.latest is not None:
            state = checkpoints.restore(state)
        start = int(state.step)
        log = stack.enter_context(closing(MetricsLog(run, start)))
        if is_main():
            run.forget_evaluations(start)
        log.skip(LeftOut(*record) for record in job.skipped)
        progress = stack.enter_context(Progress(job.steps, start=start, every=settings.logging.console_every, shown=is_main()))
        if job.skipped:
            progress.note(f"{len(job.skipped)} records are left out; {run.skipped} says which and why")
        signals = stack.enter_context(StopSignals())
        loop = _Loop(job, settings, checkpoints, log, progress, StopVote(signals))
        return loop.run(state, start)


class _Queued(NamedTuple):
    """A step that the device may still be working on."""

    number: int
    metrics: Mapping[str, jax.Array]
    counts: Mapping[str, jax.Array]
    vote: jax.Array | bool
    skipped: tuple[tuple[str | int, str], ...]
    data_wait: float
    programs: Programs


@dataclass
class _Loop:
    job: Job
    settings: LoopSettings
    checkpoints: Checkpoints
    log: MetricsLog
    progress: Progress
    vote: StopVote
    mark: float = field(default_factory=time.perf_counter)  # when the last recorded step was done
    unlisted: list[LeftOut] = field(default_factory=list)  # not yet in skipped.jsonl
    programs: ProgramCount = field(default_factory=ProgramCount)
    warned: bool = False

    def run(self, state: TrainState, start: int) -> TrainState:
        remaining = self.job.steps - start
        feed = prefetched(islice(self.job.batches(start), remaining) if remaining > 0 else iter(()), self.job.put)
        queued: _Queued | None = None
        with closing(feed):
            for number in range(start + 1, self.job.steps + 1):
                state, now = self._queue(state, feed, number)
                if queued is not None:
                    self._record(queued)
                queued = now
                last, stopping = number == self.job.steps, self.vote.stopping
                evaluating, saving = self._evaluates(number), last or stopping or number % self.settings.checkpoint.every == 0
                if evaluating or saving:
                    values = self._record(queued, state if evaluating else None)
                    queued = None
                if saving:
                    self._save(number, state, values)
                if stopping:
                    self.progress.note(f"{self.vote.signal.name}: stopping after step {number}")
                    self.checkpoints.wait()
                    raise Interrupted(self.vote.signal, number)
        return state

    def _queue(self, state: TrainState, feed: Iterator[Fed], number: int) -> tuple[TrainState, _Queued]:
        began = time.perf_counter()
        fed = next(feed, None)
        if fed is None:
            raise RunError(f"the data ended before step {number}", expected=f"batches for {self.job.steps} steps")
        wait = time.perf_counter() - began
        counts, norms = counted(fed.device), self._term_norms(state, fed.device, number)
        state, metrics = self.job.step(state, fed.device)
        vote = self.vote.ask()
        self._expect_no_program(f"step {number}, though not the first of its shapes,", _shapes(fed.device))
        return state, _Queued(number, {**metrics, **norms}, counts, vote, fed.host.skipped, wait, self.programs.now())

    def _term_norms(self, state: TrainState, batch: Batch, number: int) -> Mapping[str, jax.Array]:
        every = self.settings.logging.term_gradients
        if every is None or self.job.term_norms is None or number % every:
            return {}
        norms = self.job.term_norms(state, batch)
        self._expect_no_program(f"the terms' gradients of step {number}, though not the first of their shapes,", ("terms", _shapes(batch)))
        return norms

    def _evaluates(self, number: int) -> bool:
        if self.settings.evaluation is None or self.job.evaluate is None:
            return False
        return number == self.job.steps or number % self.settings.evaluation.every == 0

    def _record(self, queued: _Queued, evaluated: TrainState | None = None) -> dict[str, float]:
        """Waits for the step, logs it with its speed and, of `evaluated`, the held-out metrics; returns all its values."""
        values, counts = (plain(fetched) for fetched in jax.device_get((dict(queued.metrics), dict(queued.counts))))
        self.vote.hear(queued.vote)
        seconds = time.perf_counter() - self.mark
        values |= {
            "pairs_per_second": counts["pairs"] / seconds,
            "tokens_per_second": counts["tokens"] / seconds,
            "step_seconds": seconds,
            "data_wait_seconds": queued.data_wait,
            "peak_memory_bytes": peak_bytes(),
        }
        left_out = [LeftOut(*record) for record in queued.skipped]
        programs = queued.programs
        if evaluated is not None and self.job.evaluate is not None:
            held_out = self.job.evaluate(evaluated)
            values |= {f"{EVALUATION_PREFIX}{name}": value for name, value in plain(held_out.metrics).items()}
            left_out += [LeftOut(*record, HELD_OUT_DATA) for record in held_out.skipped]
            for note in held_out.notes:
                self.progress.note(note)
            self._expect_no_program(f"the evaluation after step {queued.number}, though not the first,", "evaluation")
            programs = self.programs.now()
        values |= programs._asdict()
        self.log.write(queued.number, values)
        self._list_skipped(left_out)
        self.progress.update(queued.number, values)
        check_finite(queued.number, values, pairs=counts["pairs"])
        check_best_metric(self.settings.checkpoint.best, values, evaluated=evaluated is not None)
        self.mark = time.perf_counter()
        return values

    def _expect_no_program(self, what: str, occasion: Hashable) -> None:
        """Says once in a run, and in the log's counts always, that a program was made on an occasion that had been there before."""
        if (count := self.programs.again(occasion)) and not self.warned:
            self.warned = True
            self.progress.note(
                f"warning: {what} made {count} new programs, which takes time; metrics.jsonl counts them in `programs`, "
                "JAX_EXPLAIN_CACHE_MISSES=true says why"
            )

    def _list_skipped(self, records: list[LeftOut]) -> None:
        """Each process skips records of its own: with several they are exchanged at each save only, since that makes all wait."""
        self.unlisted += records
        if jax.process_count() == 1:
            self._exchange_skipped()

    def _exchange_skipped(self) -> None:
        self.log.skip([LeftOut(*record) for record in gathered(self.unlisted)])
        self.unlisted.clear()

    def _save(self, number: int, state: TrainState, values: dict[str, Any]) -> None:
        """The logs first: whatever a checkpoint contains is on disk before it."""
        self._exchange_skipped()
        self.log.sync()
        self.checkpoints.save(number, state, values)
        self._expect_no_program(f"the save after step {number}, though not the first,", "save")
        self.mark = time.perf_counter()


def _shapes(batch: Batch) -> Hashable:
    """What a compiled step depends on."""
    return tuple(jax.tree.leaves(jax.tree.map(lambda leaf: (leaf.shape, leaf.dtype), batch)))
