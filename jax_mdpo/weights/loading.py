"""Stored tensors straight into sharded device arrays, strict both ways.

Only the slice that a device holds is read and assembled on the host, one leaf at a time, so host memory peaks at about one leaf
above what stays. A kernel that is held quantised is read layer by layer, and only its codes and scales are assembled.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple, Protocol, runtime_checkable

import jax
import numpy as np
from einops import rearrange

from jax_mdpo.core.errors import WeightsError, nearest
from jax_mdpo.weights.quantising import Format
from jax_mdpo.weights.tables import Entry, is_permutation, permute

Index = tuple[slice, ...]
Bounds = tuple[tuple[int, int], ...]


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
    loaded: dict[str, jax.Array] = {}
    for done, entry in enumerate(entries):
        progress(done, len(entries))
        loaded |= _dense(entry, leaves, source) if entry.format is None else _quantised(entry, entry.format, leaves, source)
    progress(len(entries), len(entries))
    return loaded


def check(leaves: Mapping[str, Leaf], entries: list[Entry], source: TensorSource, ignored: Callable[[str], bool]) -> list[str]:
    """One line for each fault; empty where the checkpoint fills the model exactly."""
    stored, wanted = set(source.keys()), {key for entry in entries for key in entry.keys}
    filled = {path for entry in entries for path in entry.leaves}
    faults = [f"{key} is missing from the checkpoint" for key in sorted(wanted - stored)]
    unused = sorted(key for key in stored - wanted if not ignored(key))
    faults += [f"{key} is stored but has no place in the model ({nearest(key, wanted)})" for key in unused]
    faults += [f"no stored tensor fills {path}" for path in sorted(set(leaves) - filled)]
    faults += [f"the table names {path}, which the model does not have" for path in sorted(filled - set(leaves))]
    for entry in entries:
        if all(path in leaves for path in entry.leaves):
            faults += _shape_faults(entry, [leaves[path].shape for path in entry.leaves], stored, source)
    return faults


def _shape_faults(entry: Entry, shapes: list[tuple[int, ...]], stored: set[str], source: TensorSource) -> list[str]:
    expected = [shape[1:] for shape in shapes] if entry.stacked else shapes
    faults = []
    if entry.stacked and len(entry.keys) != shapes[0][0]:
        faults.append(f"{entry.path} has {shapes[0][0]} layers, the table names {len(entry.keys)}")
    for key in entry.keys:
        if key in stored and (held := _held_shapes(entry, source.shape(key))) != expected:
            faults.append(f"{key}: expected {_shown(expected)} as held, got {_shown(held)} (stored {source.shape(key)})")
    return faults


def _held_shapes(entry: Entry, stored: tuple[int, ...]) -> list[tuple[int, ...]]:
    # a zero-stride array has the shape without the memory
    hollow = np.broadcast_to(np.zeros((), np.int8), stored)
    try:
        shape = rearrange(hollow, entry.pattern).shape if entry.pattern else stored
    except Exception:  # einops' own error for a wrong number of axes; the caller reports both shapes
        return [()]
    return [shape] if entry.format is None else [*entry.format.shapes(*shape)]


def _shown(shapes: list[tuple[int, ...]]) -> str:
    return " and ".join(map(str, shapes))


def _dense(entry: Entry, leaves: Mapping[str, Leaf], source: TensorSource) -> dict[str, jax.Array]:
    leaf = leaves[entry.path]
    return {entry.path: jax.make_array_from_callback(leaf.shape, leaf.sharding, _reader(entry, leaf, source))}


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
    return _whole(pattern, key, source)[index]


def _whole(pattern: str, key: str, source: TensorSource) -> np.ndarray:
    stored = source.read(key)
    return rearrange(stored, pattern) if pattern else stored


def _quantised(entry: Entry, format: Format, leaves: Mapping[str, Leaf], source: TensorSource) -> dict[str, jax.Array]:
    """Codes and scales of a kernel. A layer is encoded whole, whatever part of it is held here: a block may lie on two devices."""
    held = [_Held(leaves[path]) for path in entry.leaves]
    for layer, key in enumerate(entry.keys):
        encoded = format.encode(_whole(entry.pattern, key, source))
        for part, array in zip(held, encoded, strict=True):
            part.take(array, layer if entry.stacked else None)
    return {path: part.array() for path, part in zip(entry.leaves, held, strict=True)}


class _Held:
    """What this process's devices hold of a leaf, filled layer by layer."""

    def __init__(self, leaf: Leaf):
        self.leaf = leaf
        places = {_bounds(index, leaf.shape) for index in leaf.sharding.addressable_devices_indices_map(leaf.shape).values()}
        self.blocks = {bounds: np.empty([stop - start for start, stop in bounds], leaf.dtype) for bounds in places}

    def take(self, array: np.ndarray, layer: int | None) -> None:
        """Keeps from a layer, or from the whole leaf, what is held."""
        for bounds, block in self.blocks.items():
            (first, last), *others = bounds
            if layer is None:
                block[...] = array[_slices(bounds)]
            elif first <= layer < last:
                block[layer - first] = array[_slices(others)]

    def array(self) -> jax.Array:
        """The leaf on its devices."""
        return jax.make_array_from_callback(self.leaf.shape, self.leaf.sharding, lambda index: self.blocks[_bounds(index, self.leaf.shape)])


def _bounds(index: Index, shape: tuple[int, ...]) -> Bounds:
    starts_and_stops = (part.indices(size) for part, size in zip(index, shape, strict=True))
    return tuple((start, stop) for start, stop, _ in starts_and_stops)


def _slices(bounds: Iterable[tuple[int, int]]) -> Index:
    return tuple(slice(*bound) for bound in bounds)
