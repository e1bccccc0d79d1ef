"""Which records share a row: as many to each row, long ones with short ones, so that all rows come out about equally long.

The greatest length that a row can have follows from the records' lengths alone, not from the seed or the epoch, so that batches
keep their shapes.
"""

from typing import NamedTuple

import numpy as np

PADDING = -1  # stands for no record, in a row or a batch that is not full
BAND = 32  # rows among which records of like length are exchanged from epoch to epoch

PackedRow = tuple[int, ...]  # records by their place in the data set


class Lengths(NamedTuple):
    """Of every record, or of every row: tokens of the prefix, and inputs of the longest branch. 1-D integer arrays of the same length."""

    prefix: np.ndarray
    response: np.ndarray


def packed(lengths: Lengths, pack: int, rng: np.random.Generator | None = None) -> list[PackedRow]:
    """Rows of `pack` records, every record once, in the order of their first records; the last rows may hold PADDING.

    rng: decides which records of like length meet; without it always the same do.
    """
    bands = _bands(lengths, pack)
    rows = [tuple(map(int, row)) for band in bands for row in (band if rng is None else rng.permuted(band, axis=1)).T]
    return sorted(rows, key=lambda row: min(record for record in row if record != PADDING))


def bounds(lengths: Lengths, pack: int) -> Lengths:
    """The greatest lengths of each row, whatever the random numbers; with one record to a row, the records' lengths."""
    prefix, response = [], []
    for band in _bands(lengths, pack):
        longest = [_of(band, part).max(axis=1).sum() for part in lengths]
        prefix += [longest[0]] * band.shape[1]
        response += [longest[1]] * band.shape[1]
    return Lengths(np.array(prefix), np.array(response))


def row_length(row: PackedRow, lengths: Lengths) -> tuple[int, int]:
    """(prefix, response) positions that the records of a row take."""
    prefix, response = (int(_of(np.array(row), part).sum()) for part in lengths)
    return prefix, response


def _bands(lengths: Lengths, pack: int) -> list[np.ndarray]:
    """Groups of rows, [pack, rows of the band] each: in a row's k-th place stands any of the band's k-th records."""
    total = lengths.prefix + 2 * lengths.response
    order = np.argsort(-total, kind="stable")
    ranked = np.concatenate([order, np.full(-len(order) % pack, PADDING)]).reshape(pack, -1)
    ranked[1::2] = ranked[1::2, ::-1]
    width = BAND if pack > 1 else 1  # a record that is alone in its row has no one to be exchanged for
    return [ranked[:, at : at + width] for at in range(0, ranked.shape[1], width)]


def _of(records: np.ndarray, lengths: np.ndarray) -> np.ndarray:
    return np.where(records == PADDING, 0, lengths[records])
