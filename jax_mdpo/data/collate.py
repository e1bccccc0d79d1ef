"""Rows become the arrays of a batch. Masks, shifted targets and padding are made here and nowhere else."""

from collections.abc import Mapping, Sequence

import numpy as np

from jax_mdpo.core.batch import TEXT_SLOT, Batch, Branch, Prefix
from jax_mdpo.core.views import CHOSEN, REJECTED
from jax_mdpo.data.batches import Bucket
from jax_mdpo.data.rows import Row

RESPONSES = (CHOSEN, REJECTED)


def collate(rows: Sequence[Row | None], images: Mapping[str, Sequence[np.ndarray | None]], bucket: Bucket, blank: np.ndarray) -> Batch:
    """A batch of `len(rows)` pairs padded to the bucket's lengths.

    rows: None where the record is bad or the batch is not full; all of its row is then zeros and masked.
    images: by variant, one uint8 [height, width, 3] a row; None stands for `blank`, the image of rows without one.
    """
    return Batch(
        images={variant: np.stack([blank if image is None else image for image in column]) for variant, column in images.items()},
        prefix=_prefix(rows, bucket.prefix),
        branches={response: _branch(rows, response, bucket.response) for response in RESPONSES},
        valid=np.array([row is not None for row in rows]),
    )


def _prefix(rows: Sequence[Row | None], length: int) -> Prefix:
    shape = (len(rows), length)
    ids, slots, mask = np.zeros(shape, np.int32), np.full(shape, TEXT_SLOT, np.int32), np.zeros(shape, bool)
    for place, row in enumerate(rows):
        if row is not None:
            shared = next(iter(row.responses.values()))
            ids[place, : row.prefix] = shared.ids[: row.prefix]
            slots[place, : row.prefix] = shared.slots[: row.prefix]
            mask[place, : row.prefix] = True
    return Prefix(ids, slots, mask)


def _branch(rows: Sequence[Row | None], name: str, length: int) -> Branch:
    shape = (len(rows), length)
    ids, slots, targets = np.zeros(shape, np.int32), np.full(shape, TEXT_SLOT, np.int32), np.zeros(shape, np.int32)
    mask, scored = np.zeros(shape, bool), np.zeros(shape, bool)
    for place, row in enumerate(rows):
        if row is not None:
            response = row.responses[name]
            count = len(response.ids) - 1 - row.prefix
            ids[place, :count] = response.ids[row.prefix : -1]
            slots[place, :count] = response.slots[row.prefix : -1]
            targets[place, :count] = response.ids[row.prefix + 1 :]
            mask[place, :count] = True
            scored[place, response.start - 1 - row.prefix : count] = True
    return Branch(ids, slots, mask, targets, scored)
