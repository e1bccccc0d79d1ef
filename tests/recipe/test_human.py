"""The blind page and its key, and what judgements come to."""

import base64
import json
import re
from pathlib import Path

import pytest
from evaluated_twice import NAMES, write_both, write_evaluation, write_images
from typer.testing import CliRunner

from jax_mdpo.cli.main import app
from jax_mdpo.core.errors import RecordError, RunError, UserError
from jax_mdpo.evaluation.metrics import notes, tables
from jax_mdpo.recipe.human import human_page, judge_by_humans, key_of

COUNT = 12


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    return write_both(tmp_path_factory.mktemp("world"), COUNT)


def make(world, out: Path, **options) -> tuple[str, dict]:
    """The page's text and its key."""
    first, second, images = world
    assert human_page(first, second, out, images=images, **options) == out
    return out.read_text(encoding="utf-8"), json.loads(key_of(out).read_text(encoding="utf-8"))


def answers(page: str) -> dict[str, tuple[str, str]]:
    """A's and B's first word, by item."""
    found = re.findall(r'data-item="(\d+)".*?<h3>A</h3><p>(\w+) .*?<h3>B</h3><p>(\w+) ', page, re.DOTALL)
    return {item: (a, b) for item, a, b in found}


def test_the_key_says_whose_the_sides_are(world, tmp_path):
    page, key = make(world, tmp_path / "page.html", count=9, seed=3)
    shown = answers(page)
    assert list(shown) == list(key["items"]) == [str(n) for n in range(1, 10)]
    for item, (a, b) in shown.items():
        assert (a, b) == (("plain", "other") if key["items"][item]["first"] == "A" else ("other", "plain"))
        assert f"scene&gt; {key['items'][item]['id']}?" in page.split(f'data-item="{item}"')[1]
    assert {one["first"] for one in key["items"].values()} == {"A", "B"}
    assert len({one["id"] for one in key["items"].values()}) == 9


def test_the_page_says_nothing_of_whose_they_are(world, tmp_path):
    page, key = make(world, tmp_path / "page.html", seed=123456)
    readable = re.sub(r"base64,[\w+/=]+", "", page)
    for secret in (*NAMES, *map(str, world), str(tmp_path), "123456", "seed", "mmhal", "scene-", key_of(Path("page.html")).name):
        assert secret not in readable
    assert page.count("data:image/jpeg;base64") == COUNT and "://" not in readable
    assert key["page"] in page and key["seed"] == 123456
    sides = [one["first"] for one in make(world, tmp_path / "other.html", seed=1)[1]["items"].values()]
    assert sides != [one["first"] for one in key["items"].values()]


def test_images_carry_pixels_alone(world, tmp_path):
    page, _ = make(world, tmp_path / "page.html")
    assert NAMES[0].encode() in (world[2] / "scene-0.jpg").read_bytes()
    for encoded in re.findall(r"base64,([\w+/=]+)", page):
        assert NAMES[0].encode() not in base64.b64decode(encoded)


def test_the_same_draw_again_and_another_by_another_seed(world, tmp_path):
    page, key = make(world, tmp_path / "a.html", count=6)
    assert make(world, tmp_path / "b.html", count=6) == (page, key)
    other, other_key = make(world, tmp_path / "c.html", count=6, seed=1)
    assert other_key["page"] != key["page"] and other != page


def test_what_is_left_out_is_named(tmp_path):
    images = write_images(tmp_path / "images", 5)
    first = write_evaluation(tmp_path / "a", {0: "x", 1: "same", 2: "same ", 3: "y"})
    second = write_evaluation(tmp_path / "b", {0: "z", 1: "same", 2: "same", 4: "y"})
    _, key = make((first, second, images), tmp_path / "page.html")
    assert [one["id"] for one in key["items"].values()] == [0]
    assert key["left out"] == {
        "equal answers": ["mmhal 1", "mmhal 2"],
        "answered by first alone": ["mmhal 3"],
        "answered by second alone": ["mmhal 4"],
    }


def test_questions_without_an_image_file(tmp_path):
    first, second = (write_evaluation(tmp_path / name, {0: name}, images=False) for name in "ab")
    page, _ = make((first, second, write_images(tmp_path / "images", 1)), tmp_path / "page.html")
    assert "no image" in page and "<img" not in page


def test_what_cannot_be_compared_is_refused(world, tmp_path):
    first, second, images = world
    fine = write_evaluation(tmp_path / "fine", {0: "x"})
    with pytest.raises(UserError, match="two evaluations of one benchmark"):
        human_page(first, write_evaluation(tmp_path / "pope", {0: "x"}, benchmark="pope"), tmp_path / "p.html", images=images)
    with pytest.raises(UserError, match="the same folder twice"):
        human_page(first, first, tmp_path / "p.html", images=images)
    with pytest.raises(UserError, match=r"leave nothing to compare(?s:.*)1 equal answers"):
        human_page(fine, write_evaluation(tmp_path / "equal", {0: "x"}), tmp_path / "p.html", images=images)
    with pytest.raises(UserError, match="holds no evaluation"):
        human_page(first, tmp_path, tmp_path / "p.html", images=images)
    with pytest.raises(RecordError, match=r"'scene-\d+\.jpg' does not exist"):
        human_page(first, second, tmp_path / "p.html", images=write_images(tmp_path / "few", 1))
    with pytest.raises(UserError, match="count"):
        human_page(first, second, tmp_path / "p.html", images=images, count=0)
    changed = tmp_path / "equal" / "items.jsonl"
    changed.write_text(changed.read_text().replace("What", "Who"))
    with pytest.raises(UserError, match="mmhal 0 is not the same question in both"):
        human_page(fine, tmp_path / "equal", tmp_path / "p.html", images=images)
    assert not (tmp_path / "p.html").exists()


@pytest.fixture
def judged(world, tmp_path):
    """A page's key, and a function that writes a judge's file from what is to come out: + the second is better, - the first, = a tie."""
    _, key = make(world, tmp_path / "page.html", count=4)

    def write(name: str, wanted: str) -> Path:
        def side(item: str, sign: str) -> str:
            first = key["items"][item]["first"]
            return {"-": first, "+": "AB".replace(first, ""), "=": "tie"}[sign]

        made = {item: side(item, sign) for item, sign in zip(key["items"], wanted, strict=False)}
        path = tmp_path / f"{name}.json"
        path.write_text(json.dumps({"page": key["page"], "judge": name, "judgements": made}))
        return path

    return key_of(tmp_path / "page.html"), write


def test_judgements_are_unblinded_and_written(judged, world, tmp_path):
    key, write = judged
    out = tmp_path / "figures"
    metrics = judge_by_humans([write("Ann", "++-="), write("Ben", "+=+")], key, out)
    assert json.loads((out / "metrics.json").read_text()) == metrics
    figures = metrics["figures"]
    assert [figures["all judges"][name] for name in ("Win rate", "Wins", "Ties", "Losses")] == [80.0, 4, 2, 1]
    assert [figures["judge Ann"][name] for name in ("Win rate", "Wins", "Ties", "Losses")] == [round(200 / 3, 2), 2, 1, 1]
    assert figures["Ann and Ben"]["Items"] == 3 and figures["Ann and Ben"]["Agreement"] == round(100 / 3, 2)
    assert metrics["items"] == {"mmhal": 4} and metrics["benchmark"] == "human"
    assert len(metrics["left_out"]["item without a judgement"]) == 1 and metrics["left_out"]["item without a judgement"][0].startswith(
        "Ben: mmhal"
    )
    assert (metrics["options"]["first"], metrics["options"]["second"]) == (str(world[0]), str(world[1]))
    assert any("Wilson" in remark for remark in metrics["remarks"])


def test_the_figures_print_as_those_of_a_benchmark(judged, tmp_path):
    key, write = judged
    metrics = judge_by_humans([write("Ann", "++-="), write("Ben", "+=+")], key, tmp_path / "out")
    found = list(tables(metrics))
    assert [[str(column.header) for column in table.columns] for table in found] == [
        ["human", "Win rate", "from", "to", "Wins", "Ties", "Losses"],
        ["human", "Items", "Agreement", "Kappa"],
    ]
    assert any("item without a judgement" in note for note in notes(metrics))


def test_figures_of_other_judgements_are_not_overwritten(judged, tmp_path):
    key, write = judged
    first = judge_by_humans([write("Ann", "++")], key, tmp_path / "out")
    assert judge_by_humans([write("Ann", "++")], key, tmp_path / "out") == first
    with pytest.raises(RunError, match="figures of other answers"):
        judge_by_humans([write("Ann", "+-")], key, tmp_path / "out")


def test_another_file_is_no_key(judged, tmp_path):
    _, write = judged
    with pytest.raises(UserError, match="is no key of a page"):
        judge_by_humans([write("Ann", "+")], write("Ben", "+"), tmp_path / "out")


def test_the_command_scores_judgements_and_nothing_else(judged, tmp_path):
    key, write = judged
    arguments = ["eval", "human", "--answers", str(write("Ann", "++-=")), "--data", str(key), "--out", str(tmp_path / "out")]
    printed = CliRunner().invoke(app, arguments, catch_exceptions=False).output
    assert "Ann" in printed and (tmp_path / "out" / "metrics.json").exists()
    with pytest.raises(UserError, match="--append: nothing is asked, people have judged"):
        CliRunner().invoke(app, [*arguments, "--append", "?"], catch_exceptions=False)


def test_the_command_writes_the_page_and_its_key(world, tmp_path):
    first, second, images = map(str, world)
    arguments = ["report", first, second, "--human", "3", "--images", images, "--seed", "3", "--out", str(tmp_path / "page.html")]
    CliRunner().invoke(app, arguments, catch_exceptions=False)
    assert (tmp_path / "page.html").read_text() == make(world, tmp_path / "again.html", count=3, seed=3)[0]
    assert len(json.loads((tmp_path / "page.key.json").read_text())["items"]) == 3
    for wrong, said in ((["--samples", "3"], "--samples and --human do not go together"), ([second], "got: 3 folders")):
        with pytest.raises(UserError, match=said):
            CliRunner().invoke(app, [*arguments, *wrong], catch_exceptions=False)
