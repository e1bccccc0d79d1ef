"""The grain pipeline. Its elements are whole batches, so that what it yields depends on no number of workers."""

import atexit
import signal
import threading
import weakref
from collections.abc import Generator, Iterator, Sequence
from multiprocessing import connection, parent_process
from os import _exit

import grain
from absl import flags

from jax_mdpo.core.batch import HostBatch
from jax_mdpo.core.errors import UserError
from jax_mdpo.data.batches import BatchPlan
from jax_mdpo.data.loading import RecordLoader, load_batch

AHEAD = 2  # batches kept ready by each reader; grain's default of 500 elements would fill the memory

# Grain frees shared memory in a thread that the interpreter's exit cuts short; a pipe costs milliseconds a batch and leaks nothing.
WITHOUT_SHARED_MEMORY = grain.experimental.DatasetOptions(min_shm_size=2**62)

_unfinished: weakref.WeakSet[Generator[HostBatch, None, None]] = weakref.WeakSet()


class BatchSource:
    """Planned batches as grain's random-access source. A UserError is an element too: raised in a worker it would lose its face."""

    def __init__(self, plans: Sequence[BatchPlan], rows: Sequence[int] | None, loader: RecordLoader, skip: bool):
        self.plans, self.rows, self.loader, self.skip = plans, rows, loader, skip

    def __len__(self) -> int:
        return len(self.plans)

    def __getitem__(self, number: int) -> HostBatch | UserError:
        try:
            return load_batch(self.plans[number], self.rows, self.loader, skip=self.skip)
        except UserError as error:
            return error


def iterate(source: BatchSource, workers: int) -> Iterator[HostBatch]:
    """The batches of `source` in order. Workers end with the iterator, however that ends.

    Raises RecordError where a record is bad and bad records are not skipped.
    """
    batches = _iterate(source, workers)
    _unfinished.add(batches)
    return batches


@atexit.register
def _close_unfinished() -> None:
    """Iterators that an error left behind are closed while grain's modules still stand."""
    for batches in list(_unfinished):
        batches.close()


def _iterate(source: BatchSource, workers: int) -> Generator[HostBatch, None, None]:
    if not len(source):
        return
    reading = grain.ReadOptions(num_threads=1, prefetch_buffer_size=AHEAD)
    batches = grain.MapDataset.source(source).to_iter_dataset(reading)
    if workers:
        flags.FLAGS.mark_as_parsed()  # grain reads absl's flags, which only absl's own entry point parses
        workers = min(workers, len(source))
        options = grain.MultiprocessingOptions(num_workers=workers, per_worker_buffer_size=AHEAD)
        batches = grain.experimental.WithOptionsIterDataset(batches, WITHOUT_SHARED_MEMORY)
        batches = batches.mp_prefetch(options, worker_init_fn=_begin_worker)
    iterator = iter(batches)
    try:
        for element in iterator:
            if isinstance(element, UserError):
                raise element
            yield element
    finally:
        iterator.close()


def _begin_worker(index: int, count: int) -> None:
    """Signals to the process group are the trainer's to answer; a worker ends when told, or when the trainer is gone."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    threading.Thread(target=_follow_parent, daemon=True).start()


def _follow_parent() -> None:
    parent = parent_process()
    if parent is not None:
        connection.wait([parent.sentinel])
        _exit(1)
