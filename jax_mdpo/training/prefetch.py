"""Batches on the device before the step needs them."""

from collections import deque
from collections.abc import Callable, Generator, Iterator
from typing import NamedTuple

from jax_mdpo.core.batch import Batch, HostBatch

DEPTH = 2


class Fed(NamedTuple):
    """A batch on its way to the device, next to what it was made from."""

    host: HostBatch
    device: Batch


def prefetched(source: Iterator[HostBatch], put: Callable[[Batch], Batch], depth: int = DEPTH) -> Generator[Fed, None, None]:
    """The batches of `source`, in order, with `depth` of them under way to the device.

    The next one is fetched after the caller came back for more, that is, once the step that uses the last one is queued: a slow
    source then makes the host wait while the device works. Closing the generator closes `source`.
    """
    waiting: deque[Fed] = deque()
    try:
        _top_up(waiting, source, put, depth)
        while waiting:
            yield waiting.popleft()
            _top_up(waiting, source, put, depth)
    finally:
        close = getattr(source, "close", None)
        if close is not None:
            close()


def _top_up(waiting: deque[Fed], source: Iterator[HostBatch], put: Callable[[Batch], Batch], depth: int) -> None:
    while len(waiting) < depth and (host := next(source, None)) is not None:
        waiting.append(Fed(host, put(host.batch)))
