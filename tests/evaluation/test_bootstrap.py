"""The bootstrap against the arithmetic of shares: a share p of n independent answers has a standard error of √(p (1 − p) / n).

With 1,000 samples the width of a percentile interval is itself known to about 4 % (the standard error of two quantiles): WIDTH is three
times that.
"""

import math

import numpy as np
import pytest

from jax_mdpo.evaluation.benchmarks.protocol import Item, Question, Report
from jax_mdpo.evaluation.bootstrap import (
    FEWEST,
    READ_AT_MOST,
    SAMPLES,
    Interval,
    averaged,
    by_key,
    draws,
    interval,
    sample_count,
    sampled,
)

WIDTH = 0.12
NORMAL = 2 * 1.96  # standard errors from end to end of a 95 % interval
SHARE = ("all", "Accuracy")


def report(items) -> Report:
    return Report({"all": {"Accuracy": sum(item.reading["correct"] for item in items) / len(items)}}, decimals=4)


def answered(correct, *, images=None, part="p"):
    """One item for each of `correct`; every one has an image of its own unless `images` says which."""
    names = range(len(correct)) if images is None else images
    questions = [Question(id, "?", f"{image}.jpg", part) for id, image in enumerate(names)]
    return by_key(Item(question, "", {"correct": bool(right)}) for question, right in zip(questions, correct, strict=True))


def width(values) -> float:
    found = interval(values)
    return found.high - found.low


def test_a_share_s_interval_is_the_normal_one():
    n, right = 200, 140
    items = answered([place < right for place in range(n)])
    shares = sampled(report, [items], draws(items, SAMPLES, 0))[SHARE]
    p = right / n
    assert width(shares) == pytest.approx(NORMAL * math.sqrt(p * (1 - p) / n), rel=WIDTH)
    found = interval(shares)
    assert found.low < p < found.high


def test_pairing_takes_out_what_is_hard_for_both():
    """The second model mends 20 of the first one's 60 faults and makes 6 new ones: the difference is (b − c) / n, its variance
    ((b + c) / n − ((b − c) / n)²) / n, less than the sum of both variances.
    """
    n, mended, broken = 200, 20, 6
    first = [place >= 60 for place in range(n)]
    second = [place >= 60 - mended and place < n - broken for place in range(n)]
    one, other = answered(first), answered(second)
    drawn = draws(one, SAMPLES, 0)
    before, after = (sampled(report, [items], drawn)[SHARE] for items in (one, other))
    paired = math.sqrt(((mended + broken) / n - ((mended - broken) / n) ** 2) / n)
    assert width(after - before) == pytest.approx(NORMAL * paired, rel=WIDTH)
    unpaired = math.sqrt(sum(p * (1 - p) / n for p in (np.mean(first), np.mean(second))))
    apart = sampled(report, [other], draws(one, SAMPLES, 1))[SHARE]
    assert width(apart - before) == pytest.approx(NORMAL * unpaired, rel=WIDTH)
    assert paired < 0.6 * unpaired
    assert interval(after - before).excludes_zero and not interval(apart - before).excludes_zero


def test_items_of_an_image_are_drawn_together():
    """Where the m answers about an image are all right or all wrong, there are only n / m independent ones: the interval is √m as wide."""
    images, each = 100, 4
    right = [image % 10 < 7 for image in range(images) for _ in range(each)]
    together = answered(right, images=[image for image in range(images) for _ in range(each)])
    apart = answered(right)
    wide, narrow = (width(sampled(report, [items], draws(items, SAMPLES, 0))[SHARE]) for items in (together, apart))
    assert wide == pytest.approx(NORMAL * math.sqrt(0.7 * 0.3 / images), rel=WIDTH)
    assert narrow == pytest.approx(NORMAL * math.sqrt(0.7 * 0.3 / images / each), rel=WIDTH)


def test_images_without_a_name_are_clusters_of_their_own():
    items = by_key(Item(Question(id, "?", b"", part), "", {}) for part in "ab" for id in (1, 2))
    assert draws(items, 1, 0).clusters == ((("a", 1),), (("a", 2),), (("b", 1),), (("b", 2),))


def test_repetitions_are_averaged_within_each_sample():
    """Two seeds that are right where the other one is wrong: each sample's mean is a half, whatever is drawn."""
    right = [place % 3 == 0 for place in range(60)]
    both = [answered(right), answered([not one for one in right])]
    shares = sampled(report, both, draws(both[0], 50, 0))[SHARE]
    np.testing.assert_allclose(shares, 0.5, atol=1e-12)


def test_samples_are_those_of_the_seed_and_count_every_report():
    items = answered([True, False, True])
    first, again, other = (draws(items, 20, seed).picks for seed in (0, 0, 1))
    assert np.array_equal(first, again) and not np.array_equal(first, other)
    calls = []
    sampled(report, [items, items], draws(items, 20, 0), lambda: calls.append(None))
    assert len(calls) == 2 * 20


def test_a_part_that_a_sample_lacks_leaves_its_figure_out():
    def by_part(items) -> Report:
        return Report({item.question.part: {"n": 1.0} for item in items}, decimals=0)

    items = by_key(Item(Question(0, "?", f"{part}.jpg", part), "", {}) for part in "ab")
    found = sampled(by_part, [items], draws(items, 400, 0))
    lacking = np.mean(np.isnan(found["a", "n"]))
    assert lacking == pytest.approx(0.25, abs=4 * math.sqrt(0.25 * 0.75 / 400))  # both draws hit the other: ½ · ½
    assert interval(found["a", "n"]) == Interval(1.0, 1.0)


def test_too_few_samples_give_no_interval():
    assert interval(np.array([1.0, np.nan, np.nan])) is None
    assert interval(np.array([])) is None
    assert interval(np.array([1.0, np.nan])) == Interval(1.0, 1.0)


def test_figures_that_not_all_have_are_not_averaged():
    assert averaged([{SHARE: 1.0, ("b", "x"): 3.0}, {SHARE: 2.0}]) == {SHARE: 1.5}


def test_many_items_of_many_models_get_fewer_samples():
    assert sample_count(9000, 2) == SAMPLES
    assert sample_count(10_000, 4) == READ_AT_MOST // 40_000
    assert sample_count(15_220, 50) == FEWEST
