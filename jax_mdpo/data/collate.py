"""Laid-out pairs become the arrays of a batch. Segments, shifted targets and padding are made here and nowhere else."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from types import MappingProxyType

import numpy as np

from jax_mdpo.core.batch import PADDING_SEGMENT, TEXT_SLOT, Batch, Branch, Prefix
from jax_mdpo.core.views import RESPONSES, View
from jax_mdpo.data.batches import Bucket
from jax_mdpo.data.layout import LaidOut


def collate(
    pairs: Sequence[LaidOut | None],
    images: Mapping[str, Sequence[np.ndarray | None]],
    bucket: Bucket,
    blank: np.ndarray,
    *,
    pack: int = 1,
    responses: Sequence[str] = RESPONSES,
    changed: Mapping[str, Sequence[np.ndarray | None]] = MappingProxyType({}),
    draws: Mapping[str, Sequence[np.ndarray]] = MappingProxyType({}),
    features: Mapping[str, Sequence[np.ndarray]] = MappingProxyType({}),
    reference: Mapping[View, Sequence[np.ndarray | None]] = MappingProxyType({}),
) -> Batch:
    """A batch whose rows hold `pack` pairs each, one after the other, padded to the bucket's lengths.

    pairs: None where the record is bad or the batch is not full; the pair then has no tokens.
    images: by variant, one uint8 [height, width, 3] a pair; None stands for `blank`, the image of pairs without one.
    responses: those that get a branch. changed: by response, one bool [scored tokens] a pair (core/batch.py), where a term asks.
    draws: by variant, three words a pair (core/batch.py).
    features: by variant, one [patches, width] a pair, in the place of images that were looked at beforehand.
    reference: by view, one float32 [scored tokens] a pair, where they were computed beforehand.
    """
    rows = [pairs[at : at + pack] for at in range(0, len(pairs), pack)]
    branches = {response: _branch(rows, response, bucket.response) for response in responses}
    return Batch(
        images={variant: _stacked([blank if image is None else image for image in column], pack) for variant, column in images.items()},
        prefix=_prefix(rows, bucket.prefix),
        branches=branches,
        valid=np.array([[pair is not None for pair in row] for row in rows]),
        changed={response: _where_scored(branches[response], column, pack, bool) for response, column in changed.items()},
        draws={variant: _stacked(column, pack) for variant, column in draws.items()},
        features={variant: _stacked(column, pack) for variant, column in features.items()},
        reference={view: _where_scored(branches[view.response], column, pack, np.float32) for view, column in reference.items()},
    )


def _stacked(column: Sequence[np.ndarray], pack: int) -> np.ndarray:
    stacked = np.stack(column)
    return stacked.reshape(-1, pack, *stacked.shape[1:])


def _prefix(rows: Sequence[Sequence[LaidOut | None]], length: int) -> Prefix:
    prefix = Prefix(*_empty(len(rows), length))
    for place, segment, start, pair in _placed(rows, lambda pair: pair.prefix):
        shared, part = next(iter(pair.responses.values())), (place, slice(start, start + pair.prefix))
        prefix.ids[part] = shared.ids[: pair.prefix]
        prefix.slots[part] = shared.slots[: pair.prefix]
        prefix.segments[part] = segment
    return prefix


def _branch(rows: Sequence[Sequence[LaidOut | None]], name: str, length: int) -> Branch:
    shape = (len(rows), length)
    branch = Branch(*_empty(*shape), targets=np.zeros(shape, np.int32), scored=np.zeros(shape, bool))
    for place, segment, start, pair in _placed(rows, lambda pair: len(pair.responses[name].ids) - 1 - pair.prefix):
        response = pair.responses[name]
        part = (place, slice(start, start + len(response.ids) - 1 - pair.prefix))
        branch.ids[part] = response.ids[pair.prefix : -1]
        branch.slots[part] = response.slots[pair.prefix : -1]
        branch.segments[part] = segment
        branch.targets[part] = response.ids[pair.prefix + 1 :]
        branch.scored[part] = np.arange(pair.prefix + 1, len(response.ids)) >= response.start
    return branch


def _where_scored(branch: Branch, column: Sequence[np.ndarray | None], pack: int, dtype: type) -> np.ndarray:
    placed = np.zeros(branch.scored.shape, dtype)
    for at, values in enumerate(column):
        if values is not None:
            row, segment = at // pack, at % pack + 1
            placed[row, branch.scored[row] & (branch.segments[row] == segment)] = values
    return placed


def _empty(rows: int, length: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """ids, slots and segments of padding."""
    shape = (rows, length)
    return np.zeros(shape, np.int32), np.full(shape, TEXT_SLOT, np.int32), np.full(shape, PADDING_SEGMENT, np.int32)


def _placed(rows: Sequence[Sequence[LaidOut | None]], length: Callable[[LaidOut], int]) -> Iterator[tuple[int, int, int, LaidOut]]:
    """(row, segment, first position, pair) of every pair that there is, side by side in its row."""
    for place, row in enumerate(rows):
        start = 0
        for segment, pair in enumerate(row, start=1):
            if pair is not None:
                yield place, segment, start, pair
                start += length(pair)
