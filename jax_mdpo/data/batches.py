"""Which records form which batch: pure functions of the records' lengths, a seed and the epoch.

Nothing here knows of workers or processes: every process computes the same list and reads its own rows of each batch.
"""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np

from jax_mdpo.core.seeds import generator
from jax_mdpo.data.packing import PADDING, Lengths, PackedRow, packed, row_length

PREFIX_SHARE = 0.98  # of a bucket's rows; the longer prompts move up, or one of them would set the length for all


class Bucket(NamedTuple):
    """Padded lengths of a batch's rows: positions for prefixes, and positions for branches of one response."""

    prefix: int
    response: int

    def holds(self, prefix: int, response: int) -> bool:
        return prefix <= self.prefix and response <= self.response


class BatchPlan(NamedTuple):
    """One batch: its lengths, and its records by their place in the data set (PADDING where there is none).

    epoch: whose hard negatives it shows. Row after row, `pack` records to a row.
    """

    epoch: int
    bucket: Bucket
    records: tuple[int, ...]
    pack: int = 1

    @property
    def present(self) -> list[int]:
        """The records without the padding."""
        return [record for record in self.records if record != PADDING]


def derive_buckets(lengths: Lengths, count: int, multiple: int) -> tuple[Bucket, ...]:
    """At most `count` nested buckets at quantiles of the response length, rounded up to a multiple; the last holds every row.

    lengths: of rows (see packing.bounds).
    """
    buckets = [Bucket(_round_up(int(lengths.prefix.max()), multiple), _round_up(int(lengths.response.max()), multiple))]
    for share in range(count - 1, 0, -1):
        response = _round_up(int(np.quantile(lengths.response, share / count, method="higher")), multiple)
        prefix = np.quantile(lengths.prefix[lengths.response <= response], PREFIX_SHARE, method="higher")
        larger = buckets[0]
        bucket = Bucket(min(larger.prefix, _round_up(int(prefix), multiple)), min(larger.response, response))
        if bucket != larger:
            buckets.insert(0, bucket)
    return tuple(buckets)


def epoch_batches(lengths: Lengths, buckets: Sequence[Bucket], *, batch_size: int, seed: int, epoch: int, pack: int = 1) -> list[BatchPlan]:
    """Every record once, shuffled, in batches of one bucket; the batches are shuffled too, but for a last one that is not full.

    batch_size: records to a batch, a multiple of `pack`, of which each row holds that many.
    """
    rng = generator(seed, "batches", epoch)
    rows = packed(lengths, pack, rng)
    plans = _plan([rows[place] for place in rng.permutation(len(rows))], lengths, buckets, batch_size, epoch)
    full = [plan for plan in plans if PADDING not in plan.records]
    return [full[place] for place in rng.permutation(len(full))] + [plan for plan in plans if PADDING in plan.records]


def ordered_batches(
    lengths: Lengths, buckets: Sequence[Bucket], *, batch_size: int, records: Iterable[int] | None = None, pack: int = 1, epoch: int = 0
) -> list[BatchPlan]:
    """Every record (or those of `records`) once, unshuffled, the smallest bucket first: for scoring and evaluation."""
    rows: list[PackedRow] = packed(lengths, pack) if records is None else [(record,) for record in records]
    return _plan(rows, lengths, buckets, batch_size, epoch)


def _plan(rows: list[PackedRow], lengths: Lengths, buckets: Sequence[Bucket], batch_size: int, epoch: int) -> list[BatchPlan]:
    """Full batches bucket by bucket; what is left over in one joins the next, so that only the very last batch is padded."""
    pack = len(rows[0])
    size = batch_size // pack
    plans = []
    waiting = rows
    left: list[PackedRow] = []
    for bucket in buckets:
        fits = [bucket.holds(*row_length(row, lengths)) for row in waiting]
        members = left + [row for row, fit in zip(waiting, fits, strict=True) if fit]
        waiting = [row for row, fit in zip(waiting, fits, strict=True) if not fit]
        whole = len(members) - len(members) % size
        plans += [_batch(epoch, bucket, members[at : at + size], batch_size) for at in range(0, whole, size)]
        left = members[whole:]
    if waiting:
        raise ValueError(f"{len(waiting)} rows fit no bucket, the first of them of records {waiting[0]}")
    if left:
        plans.append(_batch(epoch, buckets[-1], left, batch_size))
    return plans


def _batch(epoch: int, bucket: Bucket, rows: list[PackedRow], batch_size: int) -> BatchPlan:
    records = [record for row in rows for record in row]
    return BatchPlan(epoch, bucket, (*records, *[PADDING] * (batch_size - len(records))), len(rows[0]))


def _round_up(length: int, multiple: int) -> int:
    return max(1, -(-length // multiple)) * multiple
