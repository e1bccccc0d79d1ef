"""`eval pairs` on files: the figures are those of the items, and nothing that belongs to asking a model is taken in silence."""

import json

import pytest
from end_to_end import world
from typer.testing import CliRunner

from jax_mdpo.cli.main import app
from jax_mdpo.core.errors import RunError, UserError
from jax_mdpo.evaluation.benchmarks.pairs import Pairs
from jax_mdpo.evaluation.items import read_items
from jax_mdpo.recipe.pairs import _digest, evaluate_pairs, judge_pairs

COUNT = 6


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return world.write_checkpoint(tmp_path_factory.mktemp("model") / "checkpoint")


@pytest.fixture(scope="module")
def pairs(tmp_path_factory):
    return world.write_pairs(tmp_path_factory.mktemp("pairs") / "data", COUNT)


def run(*arguments):
    result = CliRunner().invoke(app, ["eval", *map(str, arguments)])
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result.output


def test_the_figures_are_those_of_the_items(model, pairs, tmp_path):
    printed = run("pairs", model, "--data", pairs, "--out", tmp_path / "out", "--batch", 4)
    found = json.loads((tmp_path / "out" / "metrics.json").read_text())
    items = read_items(tmp_path / "out" / "items.jsonl")
    assert len(items) == found["items"]["pairs"] == COUNT
    assert found["unrounded"] == Pairs().report(items).rows
    right = sum(item.reading["true"]["logp"][0] > item.reading["true"]["logp"][1] for item in items)
    assert found["unrounded"]["log-prob"]["Accuracy"] == 100 * right / COUNT
    assert "image reliance: of 6 held-out pairs" in printed
    assert found["made_by"]["model"] == str(model)
    again = run("pairs", model, "--data", pairs, "--out", tmp_path / "out", "--batch", 4)
    assert again == printed, "the same figures may be made again"
    other = pairs.with_name("other.jsonl")
    other.write_text("".join(pairs.read_text().splitlines(keepends=True)[:3]))
    with pytest.raises(RunError, match="holds the figures of other answers"):
        run("pairs", model, "--data", other, "--out", tmp_path / "out")


def test_without_probing_the_true_image_alone_is_shown(model, pairs, tmp_path):
    plain, probed = (judge_pairs(model, pairs, probing=probing) for probing in (False, True))
    assert all(set(one.reading) == {"rejected", "true"} for one in plain)
    assert [one.reading["true"] for one in plain] == [one.reading["true"] for one in probed]
    evaluate_pairs(model, pairs, tmp_path / "out", probing=False)
    with pytest.raises(RunError, match="holds the figures of other answers"):
        evaluate_pairs(model, pairs, tmp_path / "out")


@pytest.mark.parametrize(
    ("options", "named"),
    [(("--append", "?"), "--append"), (("--max-tokens", 3), "--max-tokens"), (("--only", "kept"), "--only"), (("--set", "a=1"), "--set")],
)
def test_what_belongs_to_asking_is_refused(model, pairs, tmp_path, options, named):
    with pytest.raises(UserError, match=f"{named}: nothing is asked, pairs are judged by their answers' log-probs"):
        run("pairs", model, "--data", pairs, "--out", tmp_path / "out", *options)


def test_pairs_have_no_answer_files(pairs, tmp_path):
    with pytest.raises(UserError, match="pairs asks no questions"):
        run("pairs", "--answers", pairs, "--data", pairs, "--out", tmp_path / "out")


def test_a_folder_of_pairs_is_known_by_its_files(model, pairs, tmp_path):
    folder = pairs.parent
    assert _digest(folder) == _digest(folder) != _digest(pairs)
    before = _digest(folder)
    (folder / "more.txt").write_text("another file")
    assert _digest(folder) != before
