"""The grain pipeline. Its elements are whole batches, so that what it yields depends on no number of workers."""

import signal
import threading
from collections.abc import Iterator, Sequence
from multiprocessing import connection, parent_process
from os import _exit

import grain
from absl import flags

from jax_mdpo.core.batch import HostBatch
from jax_mdpo.core.errors import UserError
from jax_mdpo.data.batches import BatchPlan
from jax_mdpo.data.loading import RowLoader, load_batch

AHEAD = 2  # batches kept ready by each reader; grain's default of 500 elements would fill the memory


class BatchSource:
    """Planned batches as grain's random-access source. A UserError is an element too: raised in a worker it would lose its face."""

    def __init__(self, plans: Sequence[BatchPlan], rows: slice, loader: RowLoader, skip: bool):
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
    if not len(source):
        return
    reading = grain.ReadOptions(num_threads=1, prefetch_buffer_size=AHEAD)
    batches = grain.MapDataset.source(source).to_iter_dataset(reading)
    if workers:
        flags.FLAGS.mark_as_parsed()  # grain reads absl's flags, which only absl's own entry point parses
        workers = min(workers, len(source))
        options = grain.MultiprocessingOptions(num_workers=workers, per_worker_buffer_size=AHEAD)
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
