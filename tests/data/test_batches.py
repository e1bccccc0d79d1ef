"""The batch list: properties for any lengths, and buckets by hand."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jax_mdpo.data.batches import Bucket, derive_buckets, epoch_batches, ordered_batches
from jax_mdpo.data.packing import PADDING, Lengths, bounds, packed, row_length

PAIRS = st.lists(st.tuples(st.integers(0, 700), st.integers(1, 300)), min_size=1, max_size=120)


def as_lengths(pairs) -> Lengths:
    return Lengths(*np.array(pairs, np.int32).T)


@settings(deadline=None)
@given(PAIRS, st.integers(1, 5), st.integers(1, 17), st.integers(1, 64), st.integers(0, 3), st.booleans())
def test_every_record_once_in_a_bucket_that_holds_it(pairs, count, batch_size, multiple, epoch, shuffled):
    lengths = as_lengths(pairs)
    buckets = derive_buckets(lengths, count, multiple)
    if shuffled:
        plans = epoch_batches(lengths, buckets, batch_size=batch_size, seed=5, epoch=epoch)
        assert plans == epoch_batches(lengths, buckets, batch_size=batch_size, seed=5, epoch=epoch)
    else:
        plans = ordered_batches(lengths, buckets, batch_size=batch_size)
    rows = [row for plan in plans for row in plan.records]
    assert sorted(row for row in rows if row != PADDING) == list(range(len(pairs)))
    assert all(plan.bucket.holds(*pairs[row]) for plan in plans for row in plan.records if row != PADDING)
    assert all(len(plan.records) == batch_size for plan in plans)
    assert all(PADDING not in plan.records for plan in plans[:-1])
    assert len(plans) == -(-len(pairs) // batch_size)


@settings(deadline=None)
@given(PAIRS, st.integers(1, 6), st.integers(1, 128))
def test_derived_buckets_are_nested_rounded_and_hold_everything(pairs, count, multiple):
    buckets = derive_buckets(as_lengths(pairs), count, multiple)
    assert 1 <= len(buckets) <= count and len(set(buckets)) == len(buckets)
    assert all(a.prefix <= b.prefix and a.response <= b.response for a, b in itertools.pairwise(buckets))
    assert all(length % multiple == 0 and length > 0 for bucket in buckets for length in bucket)
    assert all(buckets[-1].holds(*pair) for pair in pairs)


def test_derived_buckets_by_hand():
    """Responses 1..100 and a prefix of 50, but for one prompt of 500 beside a short response: it does not widen the first bucket."""
    prefixes, responses = np.full(100, 50), np.arange(1, 101)
    prefixes[3] = 500
    assert derive_buckets(Lengths(prefixes, responses), 2, 16) == (Bucket(64, 64), Bucket(512, 112))


def test_epochs_and_seeds_differ():
    lengths = as_lengths([(10, 10)] * 64)
    plans = [epoch_batches(lengths, [Bucket(16, 16)], batch_size=8, seed=seed, epoch=epoch) for seed, epoch in ((0, 0), (0, 1), (1, 0))]
    orders = [[row for plan in plan_list for row in plan.records] for plan_list in plans]
    assert orders[0] != orders[1] and orders[0] != orders[2] and orders[0] != sorted(orders[0])


def test_buckets_are_mixed_within_an_epoch():
    lengths = as_lengths([(10, 10)] * 64 + [(10, 100)] * 64)
    plans = epoch_batches(lengths, [Bucket(16, 16), Bucket(16, 112)], batch_size=4, seed=0, epoch=0)
    responses = [plan.bucket.response for plan in plans]
    assert responses != sorted(responses) and responses.count(16) == 16


def test_leftovers_move_up_and_order_is_kept_without_shuffling():
    lengths = as_lengths([(1, 5), (1, 50), (1, 6), (1, 7), (1, 51)])
    plans = ordered_batches(lengths, [Bucket(8, 8), Bucket(8, 64)], batch_size=2)
    assert [plan.records for plan in plans] == [(0, 2), (3, 1), (4, PADDING)]
    assert [plan.bucket.response for plan in plans] == [8, 64, 64]
    assert [plan.records for plan in ordered_batches(lengths, [Bucket(8, 64)], batch_size=2, records=[4, 0])] == [(4, 0)]


def test_a_record_that_fits_nowhere_is_not_lost_in_silence():
    with pytest.raises(ValueError, match="1 rows fit no bucket"):
        ordered_batches(as_lengths([(9, 9)]), [Bucket(8, 8)], batch_size=1)


@settings(deadline=None)
@given(PAIRS, st.integers(1, 5), st.integers(0, 3))
def test_packed_rows_hold_every_record_once_within_their_bounds(pairs, pack, epoch):
    lengths = as_lengths(pairs)
    greatest = bounds(lengths, pack)
    for rng in (None, np.random.default_rng(epoch)):
        rows = packed(lengths, pack, rng)
        assert sorted(record for row in rows for record in row if record != PADDING) == list(range(len(pairs)))
        assert len(rows) == len(greatest.prefix) == -(-len(pairs) // pack) and all(len(row) == pack for row in rows)
        found = np.array([row_length(row, lengths) for row in rows])
        assert (np.sort(found, axis=0) <= np.sort(np.array(greatest).T, axis=0)).all()


def test_long_records_are_packed_with_short_ones():
    lengths = as_lengths([(0, length) for length in (1, 2, 3, 97, 98, 99)])
    assert [sum(row_length(row, lengths)) for row in packed(lengths, 2)] == [100, 100, 100]


def test_packed_batches_keep_their_rows_and_shapes_over_epochs():
    rng = np.random.default_rng(0)
    lengths = Lengths(rng.integers(5, 20, 256), rng.integers(1, 100, 256))
    buckets = derive_buckets(bounds(lengths, 4), 2, 16)
    epochs = [epoch_batches(lengths, buckets, batch_size=16, seed=1, epoch=epoch, pack=4) for epoch in range(3)]
    rows = [{plan.records[at : at + 4] for plan in plans for at in range(0, 16, 4)} for plans in epochs]
    assert all(sorted(record for row in found for record in row) == list(range(256)) for found in rows)
    assert len(rows[0] & rows[1]) < 16  # other neighbours in another epoch
    padded = sum(plan.bucket.response * 4 for plan in epochs[0])
    alone = (
        sum(plan.bucket.response for plan in epoch_batches(lengths, derive_buckets(lengths, 2, 16), batch_size=16, seed=1, epoch=0)) * 16
    )
    assert padded < 0.85 * alone
