"""Stored tensors straight into sharded device arrays, strict both ways.

Only the slice that a device holds is read and assembled on the host, one leaf at a time, so host memory peaks at about one leaf
above what stays.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple, Protocol, runtime_checkable

import jax
import numpy as np
from einops import rearrange

from jax_mdpo.core.errors import WeightsError, nearest
from jax_mdpo.weights.tables import Entry, is_permutation, permute

Index = tuple[slice, ...]


@runtime_checkable
class TensorSource(Protocol):
    """What weights are read from: shapes by key, and slices."""

    def shape(self, key: str) -> tuple[int, ...]:
        """The stored tensor's shape."""

    def keys(self) -> Iterable[str]:
        """All keys, in the names that the tables use."""

    def read(self, key: str, index: Index | None = None) -> np.ndarray:
        """The stored tensor, or a slice of it."""


class Leaf(NamedTuple):
    """A leaf that is to be filled."""

    shape: tuple[int, ...]
    dtype: np.dtype
    sharding: jax.sharding.Sharding


def load(
    leaves: Mapping[str, Leaf],
    table: Iterable[Entry],
    source: TensorSource,
    *,
    ignored: Callable[[str], bool] = lambda key: False,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> dict[str, jax.Array]:
    """Every leaf by path. Raises WeightsError with all faults: keys unused, keys missing, leaves unfilled, shapes that differ.

    progress: called with leaves done and leaves in all.
    """
    entries = list(table)
    faults = check(leaves, entries, source, ignored)
    if faults:
        shown = "\n".join(f"  - {fault}" for fault in faults[:20])
        more = f"\n  … and {len(faults) - 20} more" if len(faults) > 20 else ""
        raise WeightsError(f"the checkpoint does not match the model in {len(faults)} places:\n{shown}{more}")
    loaded = {}
    for done, entry in enumerate(entries):
        progress(done, len(entries))
        leaf = leaves[entry.path]
        loaded[entry.path] = jax.make_array_from_callback(leaf.shape, leaf.sharding, _reader(entry, leaf, source))
    progress(len(entries), len(entries))
    return loaded


def check(leaves: Mapping[str, Leaf], entries: list[Entry], source: TensorSource, ignored: Callable[[str], bool]) -> list[str]:
    """One line for each fault; empty where the checkpoint fills the model exactly."""
    stored, wanted = set(source.keys()), {key for entry in entries for key in entry.keys}
    filled = {entry.path for entry in entries}
    faults = [f"{key} is missing from the checkpoint" for key in sorted(wanted - stored)]
    unused = sorted(key for key in stored - wanted if not ignored(key))
    faults += [f"{key} is stored but has no place in the model ({nearest(key, wanted)})" for key in unused]
    faults += [f"no stored tensor fills {path}" for path in sorted(set(leaves) - filled)]
    faults += [f"the table names {path}, which the model does not have" for path in sorted(filled - set(leaves))]
    for entry in entries:
        if entry.path in leaves:
            faults += _shape_faults(entry, leaves[entry.path], stored, source)
    return faults


def _shape_faults(entry: Entry, leaf: Leaf, stored: set[str], source: TensorSource) -> list[str]:
    expected = leaf.shape[1:] if entry.stacked else leaf.shape
    faults = []
    if entry.stacked and len(entry.keys) != leaf.shape[0]:
        faults.append(f"{entry.path} has {leaf.shape[0]} layers, the table names {len(entry.keys)}")
    for key in entry.keys:
        if key in stored and (held := _held_shape(entry.pattern, source.shape(key))) != expected:
            faults.append(f"{key}: expected {expected} as held, got {held} (stored {source.shape(key)})")
    return faults


def _held_shape(pattern: str, stored: tuple[int, ...]) -> tuple[int, ...]:
    # a zero-stride array has the shape without the memory
    hollow = np.broadcast_to(np.zeros((), np.int8), stored)
    try:
        return rearrange(hollow, pattern).shape if pattern else stored
    except Exception:  # einops' own error for a wrong number of axes; the caller reports both shapes
        return ()


def _reader(entry: Entry, leaf: Leaf, source: TensorSource) -> Callable[[Index], np.ndarray]:
    def read(index: Index) -> np.ndarray:
        whole = tuple(slice(*part.indices(size)) for part, size in zip(index, leaf.shape, strict=True))
        if not entry.stacked:
            return _slice(entry.pattern, entry.keys[0], whole, source).astype(leaf.dtype, copy=False)
        block = np.empty([part.stop - part.start for part in whole], leaf.dtype)
        for row, layer in enumerate(range(whole[0].start, whole[0].stop)):
            block[row] = _slice(entry.pattern, entry.keys[layer], whole[1:], source)
        return block

    return read


def _slice(pattern: str, key: str, index: Index, source: TensorSource) -> np.ndarray:
    if is_permutation(pattern):
        part = source.read(key, permute(pattern, index))
        return rearrange(part, pattern) if pattern else part
    return rearrange(source.read(key), pattern)[index]
