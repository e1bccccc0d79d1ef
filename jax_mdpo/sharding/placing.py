"""Host batches onto the mesh: which rows a process reads, and how they become one global array."""

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import jax
import numpy as np
from jax.sharding import Mesh, NamedSharding

from jax_mdpo.core.errors import ConfigError
from jax_mdpo.sharding.logical import BATCH, RULES, spec

T = TypeVar("T")


def batch_ways(mesh: Mesh) -> int:
    """Over how many device groups the rows of a batch are split."""
    return int(np.prod([mesh.shape[name] for name in RULES[BATCH]]))


def require_divisible(ways: int, rows: int, what: str) -> None:
    """Raises ConfigError where `rows` rows do not split evenly `ways` ways."""
    if rows % ways:
        raise ConfigError(
            f"{what} is {rows} rows, which do not split evenly over data × fsdp",
            expected=f"a multiple of {ways}",
            fix=f"use {-(-rows // ways) * ways}, or another mesh",
        )


def local_rows(mesh: Mesh, rows: int) -> tuple[int, ...]:
    """The rows of a global batch that this process's devices hold, ascending. Processes that share a row all read it."""
    places = NamedSharding(mesh, spec((BATCH,))).addressable_devices_indices_map((rows,))
    return tuple(sorted({row for (part,) in places.values() for row in range(*part.indices(rows))}))


def placing(mesh: Mesh, rows: int) -> Callable[[T], T]:
    """A function that puts a tree of host arrays, first axis this process's rows, onto the mesh as arrays of `rows` global rows."""
    mine = {row: place for place, row in enumerate(local_rows(mesh, rows))}

    def put(tree: Any) -> Any:
        return jax.tree.map(lambda leaf: _global(np.asarray(leaf), mesh, rows, mine), tree)

    return put


def _global(local: np.ndarray, mesh: Mesh, rows: int, mine: dict[int, int]) -> jax.Array:
    sharding = NamedSharding(mesh, spec((BATCH, *[None] * (local.ndim - 1))))

    def part(index: tuple[slice, ...]) -> np.ndarray:
        wanted = [mine[row] for row in range(*index[0].indices(rows))]
        return local[wanted[0] : wanted[-1] + 1] if _contiguous(wanted) else local[wanted]

    return jax.make_array_from_callback((rows, *local.shape[1:]), sharding, part)


def _contiguous(rows: Sequence[int]) -> bool:
    return list(rows) == list(range(rows[0], rows[-1] + 1))
