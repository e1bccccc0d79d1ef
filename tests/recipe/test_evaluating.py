"""`eval` over answers that exist: files in, metrics.json and a table out; nothing is scored in silence."""

import json
import textwrap

import pytest
from typer.testing import CliRunner

from jax_mdpo.cli.main import app
from jax_mdpo.core.errors import ConfigError, RunError, UserError
from jax_mdpo.evaluation.answers.faults import AnswersError
from jax_mdpo.recipe.evaluating import benchmark_of, evaluate

LABELS = {"random": ["yes", "no", "yes"], "popular": ["no", "no", "yes"]}


def write_lines(path, rows):
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


@pytest.fixture
def pope(tmp_path):
    """Two splits of a POPE of our own, three questions each."""
    folder = tmp_path / "pope"
    folder.mkdir()
    for split, labels in LABELS.items():
        rows = [
            {"question_id": id, "image": f"{id}.jpg", "text": f"Is there a {split} {id}?", "label": label}
            for id, label in enumerate(labels, start=1)
        ]
        write_lines(folder / f"coco_pope_{split}.json", rows)
    return folder


def answers_to(path, split, *answers):
    return write_lines(path, [{"question_id": id, "split": split, "answer": answer} for id, answer in enumerate(answers, start=1)])


def test_figures_of_other_answers_are_not_overwritten(pope, tmp_path):
    one, other = (answers_to(tmp_path / f"{name}.jsonl", "random", name, "Yes", "No") for name in ("Yes", "No"))
    before = evaluate("pope", answers=one, data=pope, out=tmp_path / "out")
    with pytest.raises(RunError, match=r"metrics\.json holds the figures of other answers"):
        evaluate("pope", answers=other, data=pope, out=tmp_path / "out")
    assert json.loads((tmp_path / "out" / "metrics.json").read_text()) == before
    assert evaluate("pope", answers=one, data=pope, out=tmp_path / "out") == before


def test_data_that_is_not_there(pope, tmp_path):
    with pytest.raises(UserError, match=r"(?s)no benchmark data .*nowhere.*check --data"):
        evaluate("pope", answers=answers_to(tmp_path / "a.jsonl", "random", "Yes"), data=tmp_path / "nowhere", out=tmp_path / "out")


def test_the_covered_parts_are_scored_and_the_others_named(pope, tmp_path):
    answers = answers_to(tmp_path / "a.jsonl", "random", "Yes", "Yes", "No")
    found = evaluate("pope", answers=answers, data=pope, out=tmp_path / "out")
    assert json.loads((tmp_path / "out" / "metrics.json").read_text()) == found
    assert list(found["figures"]) == ["random"]
    assert found["unrounded"]["random"]["Accuracy"] == 1 / 3
    assert found["figures"]["random"]["Accuracy"] == 0.3333
    assert (found["items"], found["absent"], found["left_out"]) == ({"random": 3}, ["popular"], {})
    assert found["options"] == {"name": "pope"}
    items = [json.loads(line) for line in (tmp_path / "out" / "items.jsonl").read_text().splitlines()]
    assert items[2] == {
        "part": "random",
        "id": 3,
        "question": "Is there a random 3?",
        "image": "3.jpg",
        "answer": "No",
        "said": "no",
        "truth": "yes",
        "correct": False,
    }


def test_faults_stop_the_scoring_unless_they_are_accepted(pope, tmp_path):
    answers = answers_to(tmp_path / "a.jsonl", "random", "Yes", "Yes")
    with answers.open("a") as file:
        file.write(json.dumps({"question_id": 1, "split": "random", "answer": "No"}) + "\n")
    with pytest.raises(AnswersError) as raised:
        evaluate("pope", answers=answers, data=pope, out=tmp_path / "out")
    message = str(raised.value)
    assert "1 × id with several answers: random 1 (row 1 of a.jsonl, row 3 of a.jsonl)" in message
    assert "1 × question without an answer: random 3" in message
    assert "--partial" in message
    assert not (tmp_path / "out").exists()
    found = evaluate("pope", answers=answers, data=pope, out=tmp_path / "out", partial=True)
    assert found["unrounded"]["random"]["Accuracy"] == 0 / 1
    assert found["items"] == {"random": 1}
    assert found["left_out"] == {
        "id with several answers": ["random 1 (row 1 of a.jsonl, row 3 of a.jsonl)"],
        "question without an answer": ["random 3"],
    }


def test_where_nothing_can_be_scored_partial_is_no_way_out(pope, tmp_path):
    answers = write_lines(tmp_path / "a.jsonl", [{"question_id": 9, "answer": "Yes"}])
    with pytest.raises(AnswersError, match=r"1 × unknown id: '9'[\s\S]*to fix: mend the answers$"):
        evaluate("pope", answers=answers, data=pope, out=tmp_path / "out", partial=True)


def test_settings_are_strict_and_parts_have_names():
    assert benchmark_of("amber", {"similarity": {"model": "/models/lg"}}).similarity.model == "/models/lg"
    assert benchmark_of("amber", {"similarity": {"name": "spacy"}}) == benchmark_of("amber", {})
    with pytest.raises(ConfigError, match="did you mean 'pope'"):
        benchmark_of("pop", {})
    with pytest.raises(ConfigError, match=r"unknown key 'yes_or_no'[\s\S]*did you mean 'yes_no'"):
        benchmark_of("amber", {"yes_or_no": "exact"})
    with pytest.raises(ConfigError, match="similarity"):
        benchmark_of("amber", {"similarity": {"name": "letters"}})


OWN = """
from jax_mdpo.core.config import config
from jax_mdpo.evaluation.benchmarks.language import Loaded

@config
class Words:
    separator: str = " "

    def load(self):
        return Loaded(lambda text: text.split(self.separator), {"tagger": f"split by {self.separator!r}"})

@config
class Same:
    def load(self):
        return Loaded(lambda one, other: float(one == other), {"word vectors": "none"})
"""


@pytest.fixture
def amber(tmp_path, monkeypatch):
    """One image and one question of an AMBER of our own; language parts in a module of the user's."""
    (tmp_path / "own_words.py").write_text(textwrap.dedent(OWN))
    monkeypatch.syspath_prepend(tmp_path)
    root = tmp_path / "amber"
    root.mkdir()
    annotations = [{"id": 1, "type": "generative", "truth": ["sky"], "hallu": ["sun"]}, {"id": 2, "type": "relation", "truth": "no"}]
    queries = [{"id": id, "image": f"AMBER_{id}.jpg", "query": "What?"} for id in (1, 2)]
    files = {"annotations": annotations, "query_all": queries, "relation": {"sky": [], "sun": []}}
    for name, content in files.items():
        (root / f"{name}.json").write_text(json.dumps(content))
    (root / "safe_words.txt").write_text("")
    (root / "answers.json").write_text(json.dumps([{"id": 1, "response": "sky/sun"}, {"id": 2, "response": "No"}]))
    return root


def run(*arguments):
    result = CliRunner().invoke(app, ["eval", *map(str, arguments)], env={"COLUMNS": "80"}, catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.output


def test_the_command_prints_the_official_columns_and_what_they_depend_on(amber, tmp_path):
    printed = run(
        *("amber", "--answers", amber / "answers.json", "--data", amber, "--out", tmp_path / "out"),
        *("--set", "nouns={name: 'own_words:Words', separator: /}", "--set", "similarity=own_words:Same", "--set", "yes_no=first_word"),
    )
    for column in ("CHAIR", "Cover", "Hal", "Cog", "Accuracy", "Precision", "Recall", "F1"):
        assert column in printed
    generative = next(line.split() for line in printed.splitlines() if "Generative" in line)
    assert generative[1:] == [f"{100 * 1 / 2.001:.1f}", f"{100 * 1 / 1.001:.1f}", f"{100 - 0:.1f}", f"{100 * 1 / 1.001:.1f}"]
    assert "items: 2 (generative 1, discriminative-relation 1)" in printed
    assert "absent" not in printed
    assert "tagger: split by '/'" in printed
    assert "word vectors: none" in printed
    assert "nouns.name=own_words:Words, nouns.separator=/" in printed
    assert "yes_no=first_word is not the official rule" in printed
    assert "answers neither Yes nor No: 0" in printed


def test_the_command_scores_a_part_alone(amber, tmp_path):
    printed = run("amber", "--answers", amber / "answers.json", "--data", amber, "--out", tmp_path / "out", "--only", "discriminative")
    assert "absent: generative" in printed  # and with it the language parts, which are not installed here or not loaded
    assert "CHAIR" not in printed
    assert "tagger" not in printed
    found = json.loads((tmp_path / "out" / "metrics.json").read_text())
    assert (list(found["figures"]), found["tools"]) == (["Relation"], {})


def test_pope_fits_a_terminal_of_eighty_columns(pope, tmp_path):
    files = [answers_to(tmp_path / f"{split}.jsonl", split, "Yes", "No", "Yes") for split in LABELS]
    printed = run("pope", "--answers", files[0], "--answers", files[1], "--data", pope, "--out", tmp_path / "out")
    header = next(line for line in printed.splitlines() if "Accuracy" in line)
    assert header.split() == ["pope", "TP", "FP", "TN", "FN", "Accuracy", "Precision", "Recall", "F1", "score", "Yes", "ratio"]
    assert all(len(line) <= 80 for line in printed.splitlines() if "metrics:" not in line)


def test_an_object_is_as_good_as_a_name(pope, tmp_path):
    answers = answers_to(tmp_path / "a.jsonl", "popular", "No", "No", "Yes")
    named = evaluate("pope", answers=answers, data=pope, out=tmp_path / "one")
    made = evaluate(benchmark_of("pope", {}), answers=[str(answers)], data=str(pope), out=str(tmp_path / "two"))
    assert named == made
    assert made["unrounded"]["popular"]["F1 score"] == 1.0


def test_answers_that_are_not_there_are_an_error(pope, tmp_path):
    with pytest.raises(UserError, match="there is no answer file"):
        evaluate("pope", answers=tmp_path / "none.jsonl", data=pope, out=tmp_path / "out")
