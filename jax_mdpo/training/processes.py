"""What several processes of one run have to agree on. With a single process nothing here communicates."""

import json
from collections.abc import Callable, Sequence
from typing import Any

import jax
import numpy as np
from jax.experimental import multihost_utils

from jax_mdpo.core.errors import RunError, UserError

BLOCK = 4096  # bytes: what is gathered is padded to whole blocks, since each size would be another program to compile


def is_main() -> bool:
    """Whether this process writes the run's files."""
    return jax.process_index() == 0


def decided_by_main(decide: Callable[[], int]) -> int:
    """`decide()` of process 0, known to all. Where it raises a UserError, every process stops: that one with it, others with a RunError."""
    if jax.process_count() == 1:
        return decide()
    value, error = 0, None
    if is_main():
        try:
            value = decide()
        except UserError as raised:
            error = raised
    failed, value = multihost_utils.broadcast_one_to_all(np.array([error is not None, value], np.int32)).tolist()
    if error is not None:
        raise error
    if failed:
        raise RunError("process 0 stopped this run", fix="see the output of process 0")
    return value


def whole(tree: Any) -> Any:
    """The arrays of `tree` as numpy arrays, put together from the parts that each process holds. All processes must call it."""
    return jax.device_get(tree) if jax.process_count() == 1 else multihost_utils.process_allgather(tree, tiled=True)


def gathered(items: Sequence[Any]) -> list[Any]:
    """The JSON values `items` of all processes, in the order of the processes. All must call it; it waits for the slowest."""
    if jax.process_count() == 1:
        return list(items)
    payload = np.frombuffer(json.dumps(list(items)).encode(), np.uint8)
    sizes = multihost_utils.process_allgather(np.array(payload.size, np.int32)).tolist()
    padded = np.zeros(-(-max(sizes) // BLOCK) * BLOCK, np.uint8)
    padded[: payload.size] = payload
    rows = np.asarray(multihost_utils.process_allgather(padded)).reshape(len(sizes), -1)
    return [item for row, size in zip(rows, sizes, strict=True) for item in json.loads(row[:size].tobytes())]
