"""Judges' files become figures, and what is wrong with a file is said."""

import json

import pytest

from jax_mdpo.core.errors import UserError
from jax_mdpo.evaluation.agreement import cohen_kappa, fleiss_kappa, wilson
from jax_mdpo.evaluation.judgements import figures, read_judgements

PAGE, ITEMS = "0123456789abcdef", ("1", "2", "3", "4")


def write(path, judgements, *, page=PAGE, **more):
    path.write_text(json.dumps({"page": page, "judgements": judgements, **more}))
    return path


def read(*files):
    return read_judgements(files, page=PAGE, items=ITEMS)


def test_judges_have_the_name_that_they_gave_or_their_file_s(tmp_path):
    judges = read(write(tmp_path / "x.json", {"1": "A"}, judge="Ann"), write(tmp_path / "y.json", {"2": "tie", "4": "B"}))
    assert [(judge.name, judge.made) for judge in judges] == [("Ann", {"1": "A"}), ("y", {"2": "tie", "4": "B"})]
    assert len({judge.digest for judge in judges}) == 2


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ({"page": "another", "judgements": {"1": "A"}}, "is of another page"),
        ({"page": PAGE, "judgements": {"1": "A", "9": "B", "11": "A"}}, "2 items that the page has not: 9, 11"),
        ({"page": PAGE, "judgements": {"1": "C"}}, "the judgement of item 1 is none"),
        ({"page": PAGE, "judgements": {"1": ["A"]}}, "the judgement of item 1 is none"),
        ({"page": PAGE}, "holds no judgements"),
        ([1], "holds no judgements"),
        ({"page": PAGE, "judgements": {}}, "there is no judgement"),
    ],
    ids=str,
)
def test_a_file_that_cannot_be_counted_is_refused(tmp_path, content, expected):
    (tmp_path / "a.json").write_text(json.dumps(content))
    with pytest.raises(UserError, match=expected):
        read(tmp_path / "a.json")


def test_a_judge_counts_once(tmp_path):
    ann = write(tmp_path / "a.json", {"1": "A"}, judge="Ann")
    with pytest.raises(UserError, match=r"b\.json holds judgements of 'Ann'"):
        read(ann, write(tmp_path / "b.json", {"2": "B"}, judge="Ann"))
    one = write(tmp_path / "c.json", {"2": "B"})
    (tmp_path / "d.json").write_bytes(one.read_bytes())
    with pytest.raises(UserError, match="which another file holds too"):
        read(one, tmp_path / "d.json")


def test_one_judge_s_figures():
    rows = figures({"Ann": {"1": "win", "2": "win", "3": "tie", "4": "loss"}})
    low, high = wilson(2 / 3, 3)
    expected = {"Win rate": 200 / 3, "from": 100 * low, "to": 100 * high, "Wins": 2, "Ties": 1, "Losses": 1}
    assert rows == {"all judges": pytest.approx(expected), "judge Ann": pytest.approx(expected)}


def test_judges_of_the_same_items_are_no_more_trials_than_one():
    """Five wins of six decided judgements, but on three items."""
    results = {"Ann": {"1": "win", "2": "win", "3": "loss"}, "Ben": {"1": "win", "2": "win", "3": "win"}}
    rows = figures(results)
    low, high = wilson(5 / 6, 3)
    assert rows["all judges"] == pytest.approx(
        {"Win rate": 500 / 6, "from": 100 * low, "to": 100 * high, "Wins": 5, "Ties": 0, "Losses": 1}
    )
    assert rows["Ann and Ben"] == pytest.approx({"Items": 3, "Agreement": 200 / 3, "Kappa": cohen_kappa("wwl", "www")})
    assert list(rows) == ["all judges", "judge Ann", "judge Ben", "Ann and Ben"]


def test_three_judges_agree_pair_by_pair_and_together():
    results = {"a": {"1": "win", "2": "tie"}, "b": {"1": "win", "2": "loss"}, "c": {"1": "win", "2": "loss", "3": "win"}}
    rows = figures(results)
    assert rows["a and b"]["Agreement"] == 50 and rows["b and c"]["Agreement"] == 100
    assert rows["all of them"] == pytest.approx({"Items": 2, "Agreement": 100 * (3 + 1) / 6, "Kappa": fleiss_kappa(["www", "tll"])})


def test_nothing_decided_and_nothing_shared():
    rows = figures({"a": {"1": "tie"}, "b": {"2": "tie"}})
    assert rows["all judges"] == {"Wins": 0, "Ties": 2, "Losses": 0}
    assert list(rows) == ["all judges", "judge a", "judge b"]
    assert "Kappa" not in figures({"a": {"1": "tie"}, "b": {"1": "tie"}})["a and b"]
