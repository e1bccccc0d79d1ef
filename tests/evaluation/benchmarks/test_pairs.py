"""The figures of held-out pairs, as arithmetic on readings made by hand."""

import pytest

from jax_mdpo.evaluation.benchmarks.pairs import Pairs
from jax_mdpo.evaluation.benchmarks.protocol import Item, Question


def item(id, *, reference=None, tokens=(2, 4), **logps):
    """logps: (chosen, rejected) by image."""
    extra = {} if reference is None else {"reference": list(reference)}
    reading = {name: {"logp": list(logp), "tokens": list(tokens), **extra} for name, logp in logps.items()}
    return Item(Question(id, "What is there?", f"{id}.jpg", "pairs"), "A cat.", {"rejected": "A dog.", **reading})


def test_accuracies_with_and_without_the_image():
    items = [
        item(1, true=(-2.0, -5.0), blank=(-3.0, -4.0), other=(-6.0, -4.0)),
        item(2, true=(-2.0, -3.0), blank=(-4.0, -3.5), other=(-4.0, -3.0)),
        item(3, true=(-9.0, -5.0), blank=(-8.0, -9.0), other=(-9.0, -5.0)),
        item(4, true=(-1.0, -5.0)),  # without an image
    ]
    report = Pairs().report(items)
    assert list(report.rows) == ["log-prob", "log-prob a token"]
    row = report.rows["log-prob"]
    assert row["Accuracy"] == 100 * 3 / 4
    assert (row["Blank"], row["Other"]) == (pytest.approx(100 * 2 / 3), 0)
    assert (row["True − Blank"], row["True − Other"]) == (pytest.approx(0), pytest.approx(100 * 2 / 3))
    assert row["Margin"] == (3 + 1 - 4 + 4) / 4
    per_token = report.rows["log-prob a token"]  # −2/2 > −5/4, −2/2 < −3/4, −9/2 < −5/4, −1/2 > −5/4
    assert per_token["Accuracy"] == 100 * 2 / 4
    assert per_token["Margin"] == pytest.approx(((-1 + 1.25) + (-1 + 0.75) + (-4.5 + 1.25) + (-0.5 + 1.25)) / 4)
    assert report.counts == {"pairs with all three images": 3}


def test_the_implicit_reward_leads_where_there_is_a_reference_and_a_tie_is_no_preference():
    items = [
        item(1, reference=(-4.0, -4.0), true=(-3.0, -4.0), blank=(-4.0, -4.0), other=(-4.5, -4.0)),
        item(2, reference=(-1.0, -9.0), true=(-2.0, -9.0), blank=(-2.0, -9.0), other=(-2.0, -9.0)),
    ]
    report = Pairs().report(items)
    assert next(iter(report.rows)) == "implicit reward"
    assert report.rows["implicit reward"] == {
        "Accuracy": 50,
        "Blank": 0,
        "Other": 0,
        "True − Blank": 50,
        "True − Other": 50,
        "Margin": (1 - 1) / 2,
    }
    assert report.rows["log-prob"]["Accuracy"] == 100
    assert "of 2 held-out pairs in the right order: 50.0% with the true image, 0.0% with a blank one" in report.remarks[0]


def test_pairs_without_images_have_no_word_on_the_image():
    report = Pairs().report([item(1, true=(-1.0, -2.0))])
    assert report.rows["log-prob"] == {"Accuracy": 100, "Margin": 1}
    assert report.remarks == []
