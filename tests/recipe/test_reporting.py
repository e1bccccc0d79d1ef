"""The page of `report`: what is found in folders, and that the numbers on it are those of the files."""

import json
import re
from html import unescape
from pathlib import Path

import pytest
from reported import IMAGES, OBJECTS, described, pope, pope_data, run

from jax_mdpo.core.errors import UserError
from jax_mdpo.evaluation import bootstrap
from jax_mdpo.recipe.reporting import Section, compare, report
from jax_mdpo.recipe.reporting.labels import labelled
from jax_mdpo.recipe.reporting.sources import read_source

ITEMS = IMAGES * len(OBJECTS)
DPO = ({"name": "dpo", "beta": 0.3},)


@pytest.fixture(autouse=True)
def few_samples(monkeypatch):
    """The fewest that are ever drawn: nothing here hangs on the exact ends of an interval."""
    monkeypatch.setattr(bootstrap, "READ_AT_MOST", 0)


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    return tmp_path_factory.mktemp("world")


@pytest.fixture(scope="module")
def data(world):
    return pope_data(world / "pope")


@pytest.fixture(scope="module")
def evaluations(world, data):
    """The second is right where the first is wrong about buses, and no worse elsewhere."""
    first = pope(world / "first", data, lambda place: place % 3 == 2 or place == 0)
    return first, pope(world / "second", data, lambda place: place == 0)


@pytest.fixture(scope="module")
def runs(world):
    return [
        run(world / "runs" / "mdpo-0"),
        run(world / "runs" / "mdpo-1", seed=1, loss=lambda step: 4 / step),
        run(world / "runs" / "dpo", objectives=DPO),
    ]


def text_of(page: Path) -> str:
    """What a reader reads, in one line."""
    source = re.sub(r"<(script|style).*?</\1>", " ", page.read_text(encoding="utf-8"), flags=re.DOTALL)
    return " ".join(unescape(re.sub(r"<[^>]+>", " ", source)).split())


def rows_of(page: Path, table: str) -> dict[str, list[str]]:
    """The rows of a benchmark's table by label, each cell as text."""
    source = page.read_text(encoding="utf-8")
    body = re.search(rf'aria-label="{re.escape(table)}"><table.*?<tbody>(.*?)</tbody>', source, re.DOTALL)[1]
    rows = [[plain(cell) for cell in re.findall(r"<t[hd].*?>(.*?)</t[hd]>", row, re.DOTALL)] for row in body.split("</tr>") if "<th" in row]
    return {row[0]: row[1:] for row in rows}


def plain(cell: str) -> str:
    return " ".join(unescape(re.sub(r"<[^>]+>", " ", cell)).split())


def test_figures_are_those_of_the_files(evaluations, tmp_path):
    page = report([f"{name}={path}" for name, path in zip(("base", "ours"), evaluations, strict=True)], tmp_path / "page.html")
    rows = rows_of(page, "pope, adversarial")
    for name, path in zip(("base", "ours"), evaluations, strict=True):
        figures = json.loads((path / "metrics.json").read_text())["figures"]["adversarial"]
        counts, rates = list(figures.values())[:4], list(figures.values())[4:]
        assert rows[name][:4] == [str(count) for count in counts]
        assert [cell.split()[0] for cell in rows[name][4:]] == [f"{rate:.4f}" for rate in rates]
    assert f"{ITEMS} items" in text_of(page)


def test_a_difference_stands_with_its_interval_and_a_word(evaluations, tmp_path):
    """The first is wrong about all 20 buses, of 60 questions: in every sample the difference is exactly a third."""
    rows = rows_of(report([f"base={evaluations[0]}", f"ours={evaluations[1]}"], tmp_path / "page.html"), "pope, adversarial")
    accuracy = rows["ours"][4]
    assert accuracy.endswith(f"+{1 / 3:.4f} better +{1 / 3:.4f} to +{1 / 3:.4f}")
    assert rows["ours"][8].endswith("differs " + rows["ours"][8].partition("differs ")[2])  # of a yes ratio neither way is better
    swapped = rows_of(
        report([f"base={evaluations[0]}", f"ours={evaluations[1]}"], tmp_path / "swapped.html", baseline="ours"), "pope, adversarial"
    )
    assert f"−{1 / 3:.4f} worse" in swapped["base"][4] and "better" not in " ".join(swapped["ours"])


def test_a_small_difference_gets_no_word(world, data, tmp_path):
    """One fault more or less in 60 answers: half of the samples do not hold one of the two images."""
    one, other = (pope(world / name, data, lambda place, at=at: place == at) for name, at in (("fault-1", 1), ("fault-31", 31)))
    rows = rows_of(report([one.parent, other.parent], tmp_path / "page.html"), "pope, adversarial")
    assert "+0.0000" in rows["fault-31"][4] and not re.search("better|worse|differs", rows["fault-31"][4])


def test_repetitions_are_averaged_and_their_range_is_shown_apart(world, data, evaluations, tmp_path):
    """One seed is wrong about the buses, the other one about nothing: accuracies of 2/3 and 1."""
    seeds = [pope(world / f"seed-{seed}", data, lambda place, seed=seed: seed == 0 and place % 3 == 2) for seed in (0, 1)]
    page = report([f"base={evaluations[0]}", *(f"ours={path}" for path in seeds)], tmp_path / "page.html")
    accuracy = rows_of(page, "pope, adversarial")["ours"][4]
    assert accuracy.startswith(f"{5 / 6:.4f} ") and f"seeds {2 / 3:.4f}–1.0000" in accuracy
    assert f"+{5 / 6 - (1 - 21 / 60):.4f}" in accuracy
    assert "2 repetitions" in text_of(page)


def test_another_set_of_items_is_compared_on_what_both_answered(world, data, evaluations, tmp_path):
    fewer = pope(world / "fewer", data, lambda place: False, only=30)
    page = report([f"all={evaluations[0]}", f"half={fewer}"], tmp_path / "page.html")
    row = rows_of(page, "pope, adversarial")
    assert any(name.startswith("half compared on the 30 items that all answered") for name in row)
    (half,) = [cells for name, cells in row.items() if name.startswith("half")]
    assert half[4].startswith("1.0000 ") and f"+{11 / 30:.4f}" in half[4]  # ten buses and the first question


def test_other_rules_are_not_compared(tmp_path):
    answers = [("a dog and a cat", [["cat", "cat"]]), ("a dog", [])]
    one = described(tmp_path / "one", answers, tools={"judge": "gpt-4"})
    other = described(tmp_path / "other", answers, tools={"judge": "llama"})
    rows = rows_of(report([one, other], tmp_path / "page.html"), "chair, CHAIR")
    (name,) = [name for name in rows if name.startswith("other")]
    assert "not compared: read by different rules (judge: gpt-4 / llama)" in name
    assert "+" not in " ".join(rows[name])


def test_repetitions_by_other_rules_are_named(tmp_path):
    for judge in ("gpt-4", "llama"):
        described(tmp_path / judge, [("a dog", [])], tools={"judge": judge})
    rows = rows_of(report([f"x={tmp_path / judge}" for judge in ("gpt-4", "llama")], tmp_path / "page.html"), "chair, CHAIR")
    assert list(rows) == ["x a mean of figures that were read by different rules (judge: gpt-4 / llama)"]


def test_another_way_of_asking_is_named(tmp_path):
    folders = []
    for name, tokens in (("one", 32), ("other", 64)):
        folders.append(described(tmp_path / name, [("a dog", [])]))
        metrics = json.loads((folders[-1] / "metrics.json").read_text())
        metrics["made_by"] = {"model": name, "weights": {"model": name}, "append": None, "decoding": {"max_tokens": tokens}}
        (folders[-1] / "metrics.json").write_text(json.dumps(metrics))
    (_, other) = rows_of(report(folders, tmp_path / "page.html"), "chair, CHAIR")
    assert other == "other asked otherwise (decoding.max_tokens: 32 / 64)"


def test_repetitions_on_other_items_share_an_interval_of_what_all_answered(tmp_path):
    """A third and a half of the captions hallucinate; the figure is the mean of both, its interval of the first two captions alone."""
    answers = [("a dog and a cat", [["cat", "cat"]]), ("a dog", []), ("a dog", [])]
    for name, count in (("one", 3), ("two", 2)):
        described(tmp_path / name, answers[:count])
    rows = rows_of(report([f"x={tmp_path / name}" for name in ("one", "two")], tmp_path / "page.html"), "chair, CHAIR")
    assert list(rows) == ["x interval of the 2 items that all repetitions answered"]
    assert next(iter(rows.values()))[0] == f"{100 * (1 / 3 + 1 / 2) / 2:.1f} 0.0–100.0 seeds {100 / 3:.1f}–50.0"


def test_without_items_figures_stand_alone(tmp_path):
    one, other = (described(tmp_path / name, [("a dog", [])]) for name in ("one", "other"))
    (one / "items.jsonl").unlink()
    rows = rows_of(report([one, other], tmp_path / "page.html"), "chair, CHAIR")
    assert rows["one"] == ["0.0", "0.0", "100.0"]
    assert any("no items.jsonl" in name for name in rows)


def test_published_figures_stand_below(tmp_path):
    folder = described(tmp_path / "one", [("a dog", [])])
    metrics = json.loads((folder / "metrics.json").read_text())
    metrics["benchmark"] = "object-halbench"
    (folder / "metrics.json").write_text(json.dumps(metrics))
    rows = rows_of(report([folder], tmp_path / "page.html"), "Published figures")
    assert rows["mDPO"][0] in ("Bunny-v1.0-3B", "LLaVA-v1.5-7B") and any("arXiv 2406.11839" in cells[-1] for cells in rows.values())


def test_hallucinated_words_are_marked_and_the_largest_differences_come_first(tmp_path):
    one = described(
        tmp_path / "one",
        [("A dog, two Cats and a cattle.", [["cat", "cat"]]), ("A dog, a bus, a bus.", [["bus", "bus"]] * 2), ("A dog.", [])],
    )
    other = described(tmp_path / "other", [("A dog.", []), ("A dog!", []), ("The dog.", [])])
    page = report([one, other], tmp_path / "page.html", samples=2).read_text(encoding="utf-8")
    assert re.findall(r"<mark>(\w+)<sup", page) == ["bus", "bus", "Cats"]
    assert "2 hallucinated: bus, bus" in page and "chair: 2 of 2 items" in page
    assert "The dog." not in page


def test_samples_are_of_those_benchmarks_alone_whose_answers_differ(data, tmp_path):
    sources = []
    for name, words in (("one", [["bus", "bus"]]), ("other", [])):
        made = run(tmp_path / name)
        pope(made / "eval" / "pope", data, lambda place: place == 0)
        described(made / "eval" / "chair", [("A bus.", words), ("A big bus.", words)])
        sources.append(made)
    text = text_of(report(sources, tmp_path / "page.html", samples=2))
    assert "chair: 2 of 2 items" in text and "A big bus." in text
    assert "of 0 items" not in text


def test_a_judge_s_ratings_stand_beside_the_answers(tmp_path):
    """Ratings of 2 and 3 of six lie on either side of what counts as hallucination; the mean of 0 and 3 is 1.5."""
    for name, ratings in (("one", (2, 0)), ("other", (3, 0))):
        (tmp_path / name).mkdir()
        with (tmp_path / name / "items.jsonl").open("w") as file:
            for id, rating in enumerate(ratings):
                reading = {"type": "attribute", "rating": rating, "clear": True, "reply": f"Rating: {rating}", "judge": "gpt-4"}
                asked = {"part": "mmhal", "id": id, "question": "What colour?", "image": f"{id}.jpg", "answer": f"{name} says red"}
                file.write(json.dumps({**asked, **reading}) + "\n")
        figures = {"MMHal-Bench": {"Score": sum(ratings) / 2, "HalRate": sum(rating < 3 for rating in ratings) / 2}}
        metrics = {"benchmark": "mmhal", "figures": figures, "unrounded": figures, "decimals": 2, "options": {"name": "mmhal"}}
        (tmp_path / name / "metrics.json").write_text(json.dumps(metrics))
    page = report([tmp_path / "one", tmp_path / "other"], tmp_path / "page.html")
    text = text_of(page)
    assert "✗ rated 2: hallucination one says red" in text and "✓ rated 3: no hallucination other says red" in text
    assert "mmhal: 1 of 1 items" in text
    assert rows_of(page, "mmhal, MMHal-Bench")["other"][0].startswith("1.50 0.00–3.00 +0.50")


def test_images_are_embedded_small(data, evaluations, tmp_path):
    images = data.parent / "images"
    sources = [f"base={evaluations[0]}", f"ours={evaluations[1]}"]
    page = report(sources, tmp_path / "page.html", images=images, samples=3)
    found = re.findall(r'<img src="data:image/jpeg;base64,[^"]+" alt="image of [^"]+" width="(\d+)" height="(\d+)"', page.read_text())
    assert found == [("320", "240")] * 3
    without = report(sources, tmp_path / "without.html", samples=3)
    assert "<img" not in without.read_text() and "--images" in text_of(without)
    (images / "0.jpg").rename(images / "hidden")
    try:
        lacking = report(sources, tmp_path / "lacking.html", images=images, samples=100)
        assert "1 images are not in images" in text_of(lacking)
    finally:
        (images / "hidden").rename(images / "0.jpg")


def numbers(page: Path) -> dict:
    return json.loads(re.search(r'id="numbers">(.*?)</script>', page.read_text(encoding="utf-8"))[1])


def test_curves_are_those_of_the_log(runs, tmp_path):
    page = report([f"mDPO={runs[0]}", f"mDPO={runs[1]}", f"DPO={runs[2]}"], tmp_path / "page.html")
    loss = next(chart for chart in numbers(page)["charts"] if chart["name"] == "loss")
    mdpo, dpo = loss["curves"]
    assert mdpo["steps"] == dpo["steps"] == list(range(1, 41))
    assert dpo["mean"] == [pytest.approx(2 / step, rel=1e-5) for step in range(1, 41)]
    for name, of_step in (("mean", 3), ("low", 2), ("high", 4)):
        assert mdpo[name] == [pytest.approx(of_step / step, rel=1e-5) for step in range(1, 41)]
    assert (mdpo["repetitions"], dpo["repetitions"]) == (2, 1)
    groups = re.findall(r"<summary><h3>(.*?)</h3>", page.read_text())
    assert groups == [
        "Loss",
        "Rewards",
        "Margins and accuracies",
        "Does the model look at the image?",
        "Benchmarks in training",
        "Held-out pairs",
        "Optimiser",
    ]


def test_many_steps_are_put_together(tmp_path):
    page = report([run(tmp_path / "long", steps=800, loss=lambda step: step)], tmp_path / "page.html")
    (curve,) = next(chart["curves"] for chart in numbers(page)["charts"] if chart["name"] == "loss")
    assert curve["mean"] == curve["steps"] == [10 * place + 5.5 for place in range(80)]
    assert "Each point is the mean of 10 steps" in text_of(page)


def test_configurations_differ_by_key(runs, tmp_path):
    page = report([f"mDPO={runs[0]}", f"mDPO={runs[1]}", f"DPO={runs[2]}"], tmp_path / "page.html")
    assert rows_of(page, "Where the configurations differ") == {
        "objectives": ["dpo + conditional", "dpo"],
        "objectives.dpo.beta": ["0.1", "0.3"],
        "seed": ["0, 1", "0"],
    }
    assert "objectives.conditional.beta" in text_of(page), "a part's own settings stand among those that do not differ"


def test_speed_leaves_out_the_steps_that_compile(runs, tmp_path):
    page = report([runs[0]], tmp_path / "page.html")
    rows = rows_of(page, "Speed and memory")
    # pairs/s, tokens/s, median step, 40 · 0.05 s of 2 · 10 + 38 · 0.5 s waiting, programs, compiled, minutes
    assert rows["mdpo-0"] == ["32", "4,000", "0.5", f"{40 * 0.05 / 39:.1%}", "2", "1", f"{39 / 60:.3g}"]


def test_a_run_that_goes_on_is_shown_as_far_as_it_is(tmp_path):
    folder = run(tmp_path / "going", steps=5)
    (folder / "adapter").rmdir()
    with (folder / "metrics.jsonl").open("a") as log:
        log.write('{"step": 6, "lo')
    page = report([folder], tmp_path / "page.html")
    assert "run of 5 steps · dpo + conditional · not finished" in text_of(page)


def test_evaluations_below_a_run_are_found(data, tmp_path):
    """Of a benchmark that training tracks, the last step; several of one benchmark go by their folders."""
    folder = run(tmp_path / "run")
    for step, wrong in ((20, 0), (100, 1)):
        made = pope(tmp_path / f"at-{step}", data, lambda place, wrong=wrong: place == wrong)
        (folder / "evaluations" / "pope").mkdir(parents=True, exist_ok=True)
        made.rename(folder / "evaluations" / "pope" / str(step))
    pope(folder / "eval", data, lambda place: False)
    found = read_source(folder)
    assert [(one.where, one.step) for one in found.evaluations] == [("eval/pope", None), ("evaluations/pope", 100)]
    page = text_of(report([folder], tmp_path / "page.html"))
    assert "pope in eval/pope" in page and "pope in evaluations/pope" in page and "after step 100" in page


def test_what_is_no_source_is_refused(tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match="neither a run nor an evaluation"):
        report([tmp_path / "empty"], tmp_path / "page.html")
    with pytest.raises(UserError, match="there is no folder"):
        report([tmp_path / "absent"], tmp_path / "page.html")
    for name in ("a", "b"):
        run(tmp_path / "several" / name, steps=1)
    with pytest.raises(UserError, match=r"several runs[\s\S]*a, b"):
        report([tmp_path / "several"], tmp_path / "page.html")
    with pytest.raises(UserError, match=r"'mDPo'[\s\S]*mDPO"):
        report([f"mDPO={tmp_path / 'several' / 'a'}"], tmp_path / "page.html", baseline="mDPo")
    assert not (tmp_path / "page.html").exists()


def test_labels(tmp_path):
    (tmp_path / "lr=1").mkdir()
    (tmp_path / "a" / "run").mkdir(parents=True)
    (tmp_path / "b" / "run").mkdir(parents=True)
    assert labelled([tmp_path / "lr=1", str(tmp_path / "lr=1")]) == {"lr=1": [tmp_path / "lr=1"] * 2}
    assert labelled([f"{tmp_path}/a/run", f"{tmp_path}/b/run"]) == {"a/run": [tmp_path / "a/run"], "b/run": [tmp_path / "b/run"]}
    assert labelled(["x=p", "y=q", "x=r"]) == {"x": [Path("p"), Path("r")], "y": [Path("q")]}
    assert labelled(["run=p", str(tmp_path / "a/run")]) == {"run": [Path("p")], "a/run": [tmp_path / "a/run"]}


def test_a_caller_s_sections_come_first(runs, tmp_path):
    section = Section("What was varied", ("A <b>sentence</b>.",), ("cell", "F1"), (("mDPO", "0.917"),))
    page = compare({"mDPO": runs[:1]}, tmp_path / "page.html", sections=[section], title="A study")
    source, text = page.read_text(), text_of(page)
    assert text.index("What was varied") < text.index("What is compared") and "A &lt;b&gt;sentence" in source
    assert rows_of(page, "What was varied") == {"mDPO": ["0.917"]} and "<h1>A study</h1>" in source
