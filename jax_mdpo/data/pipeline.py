"""The grain pipeline. Its elements are whole batches, so that what it yields depends on no number of readers.

The readers are threads. Pillow decodes and resizes without the interpreter's lock, which is most of an image's time; a process apart
would take seconds to start, and some tenths of an image's time to send it over.
"""

from collections.abc import Generator, Sequence
from contextlib import closing

import grain

from jax_mdpo.core.batch import HostBatch
from jax_mdpo.data.batches import BatchPlan
from jax_mdpo.data.loading import RecordLoader, load_batch

AHEAD = 2  # batches kept ready beside those that are being read; grain's default of 500 elements would fill the memory


class BatchSource:
    """Planned batches as grain's random-access source."""

    def __init__(self, plans: Sequence[BatchPlan], rows: Sequence[int] | None, loader: RecordLoader, skip: bool):
        self.plans, self.rows, self.loader, self.skip = plans, rows, loader, skip

    def __len__(self) -> int:
        return len(self.plans)

    def __getitem__(self, number: int) -> HostBatch:
        return load_batch(self.plans[number], self.rows, self.loader, skip=self.skip)


def iterate(source: BatchSource, workers: int) -> Generator[HostBatch, None, None]:
    """The batches of `source` in order, read ahead by `workers` threads; by the caller's own, as it asks for them, where that is 0.

    Closing it drops what is not being read yet. Raises RecordError where a record is bad and bad records are not skipped.
    """
    reading = grain.ReadOptions(num_threads=workers, prefetch_buffer_size=workers + AHEAD if workers else 0)
    with closing(iter(grain.MapDataset.source(source).to_iter_dataset(reading))) as batches:
        yield from batches
