"""Which records form which batch: pure functions of the records' lengths, a seed and the epoch.

Nothing here knows of workers or processes: every process computes the same list and reads its own rows of each batch.
"""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np

from jax_mdpo.core.seeds import generator

PREFIX_SHARE = 0.98  # of a bucket's records; the longer prompts move up, or one of them would set the length for all
PADDING = -1  # stands for no record in a batch that is not full


class Bucket(NamedTuple):
    """Padded lengths of a batch: prefix positions and positions of the longest branch."""

    prefix: int
    response: int

    def holds(self, prefix: int, response: int) -> bool:
        return prefix <= self.prefix and response <= self.response


class BatchPlan(NamedTuple):
    """One batch: its epoch, its lengths, and its records by their place in the data set (PADDING where there is none)."""

    epoch: int
    bucket: Bucket
    rows: tuple[int, ...]


class Lengths(NamedTuple):
    """Of every record: tokens of the prefix, and inputs of the longest branch. 1-D integer arrays of the same length."""

    prefix: np.ndarray
    response: np.ndarray


def derive_buckets(lengths: Lengths, count: int, multiple: int) -> tuple[Bucket, ...]:
    """At most `count` nested buckets at quantiles of the response length, rounded up to a multiple; the last holds every record."""
    buckets = [Bucket(_round_up(int(lengths.prefix.max()), multiple), _round_up(int(lengths.response.max()), multiple))]
    for share in range(count - 1, 0, -1):
        response = _round_up(int(np.quantile(lengths.response, share / count, method="higher")), multiple)
        prefix = np.quantile(lengths.prefix[lengths.response <= response], PREFIX_SHARE, method="higher")
        larger = buckets[0]
        bucket = Bucket(min(larger.prefix, _round_up(int(prefix), multiple)), min(larger.response, response))
        if bucket != larger:
            buckets.insert(0, bucket)
    return tuple(buckets)


def epoch_batches(lengths: Lengths, buckets: Sequence[Bucket], *, batch_size: int, seed: int, epoch: int) -> list[BatchPlan]:
    """Every record once, shuffled, in batches of one bucket; the batches are shuffled too, but for a last one that is not full."""
    rng = generator(seed, "batches", epoch)
    plans = _plan(rng.permutation(len(lengths.prefix)).tolist(), lengths, buckets, batch_size, epoch)
    full = [plan for plan in plans if PADDING not in plan.rows]
    return [full[place] for place in rng.permutation(len(full))] + [plan for plan in plans if PADDING in plan.rows]


def ordered_batches(
    lengths: Lengths, buckets: Sequence[Bucket], *, batch_size: int, records: Iterable[int] | None = None, epoch: int = 0
) -> list[BatchPlan]:
    """Every record (or those of `records`) once, unshuffled, the smallest bucket first: for scoring and evaluation."""
    order = range(len(lengths.prefix)) if records is None else records
    return _plan(list(order), lengths, buckets, batch_size, epoch)


def _plan(order: list[int], lengths: Lengths, buckets: Sequence[Bucket], batch_size: int, epoch: int) -> list[BatchPlan]:
    """Full batches bucket by bucket; what is left over in one joins the next, so that only the very last batch is padded."""
    plans = []
    waiting = order
    left: list[int] = []
    for bucket in buckets:
        fits = [bucket.holds(int(lengths.prefix[row]), int(lengths.response[row])) for row in waiting]
        members = left + [row for row, fit in zip(waiting, fits, strict=True) if fit]
        waiting = [row for row, fit in zip(waiting, fits, strict=True) if not fit]
        whole = len(members) - len(members) % batch_size
        plans += [BatchPlan(epoch, bucket, tuple(members[at : at + batch_size])) for at in range(0, whole, batch_size)]
        left = members[whole:]
    if waiting:
        raise ValueError(f"{len(waiting)} records fit no bucket, the first of them number {waiting[0]}")
    if left:
        plans.append(BatchPlan(epoch, buckets[-1], (*left, *[PADDING] * (batch_size - len(left)))))
    return plans


def _round_up(length: int, multiple: int) -> int:
    return max(1, -(-length // multiple)) * multiple
