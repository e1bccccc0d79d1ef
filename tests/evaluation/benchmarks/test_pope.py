"""POPE: the official tool's rule of yes and no, its figures as arithmetic, and its files in both shapes."""

import json

import pytest

from jax_mdpo.core.errors import UserError
from jax_mdpo.evaluation.benchmarks.pope import MEAN, Pope, PopeScorer, figures, said_yes_or_no
from jax_mdpo.evaluation.benchmarks.protocol import Item, Question


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        ("Yes", "yes"),
        ("No", "no"),
        ("no", "no"),
        ("I do not see one", "no"),
        ("No, there is a dog", "no"),  # commas are deleted
        ("yes,no", "yes"),  # ... and join what they stood between: "yesno"
        ("There is none", "yes"),
        ("NO", "yes"),  # case counts
        ("Not here", "yes"),
        ("There isn't", "yes"),
        ("", "yes"),
        ("Yes. There is no doubt", "yes"),  # nothing after the first full stop counts
        ("No.", "no"),
        (". No", "yes"),
        ("No\nthere is none", "yes"),  # words stand between single spaces, and this one is "No\nthere"
        ("\tno", "yes"),
        ("no!", "yes"),
        ("well  no", "no"),  # an empty word between two spaces does no harm
    ],
)
def test_the_official_rule_of_yes_and_no(answer, said):
    assert said_yes_or_no(answer) == said


def test_figures_count_yes_as_positive():
    found = figures({("yes", "yes"): 5, ("yes", "no"): 3, ("no", "no"): 7, ("no", "yes"): 1})
    precision, recall = 5 / (5 + 3), 5 / (5 + 1)
    assert found == {
        "TP": 5,
        "FP": 3,
        "TN": 7,
        "FN": 1,
        "Accuracy": (5 + 7) / 16,
        "Precision": precision,
        "Recall": recall,
        "F1 score": 2 * precision * recall / (precision + recall),
        "Yes ratio": (5 + 3) / 16,
    }


@pytest.mark.parametrize("counts", [{("no", "no"): 4}, {("no", "yes"): 4}, {("yes", "no"): 4}])
def test_a_rate_of_nothing_is_zero(counts):
    full = {(said, truth): 0 for said in ("yes", "no") for truth in ("yes", "no")} | counts
    found = figures(full)
    assert (found["Precision"], found["Recall"], found["F1 score"]) == (0.0, 0.0, 0.0)


def items(part, *answers_and_labels):
    scorer = PopeScorer()
    questions = [Question(place, "Is there?", "1.jpg", part, label) for place, (_, label) in enumerate(answers_and_labels)]
    pairs = zip(questions, answers_and_labels, strict=True)
    return [Item(question, answer, scorer.read(question, answer)) for question, (answer, _) in pairs]


def test_the_mean_is_of_the_three_splits_rates_not_of_their_answers():
    random = items("random", ("Yes", "yes"), ("No", "no"))
    popular = items("popular", ("Yes", "yes"), ("Yes", "no"), ("Yes", "no"), ("Yes", "no"))
    adversarial = items("adversarial", ("No", "yes"))
    report = Pope().report(random + popular + adversarial)
    assert report.rows[MEAN]["Accuracy"] == (2 / 2 + 1 / 4 + 0 / 1) / 3
    assert report.rows[MEAN]["F1 score"] == pytest.approx((1 + 2 * 0.25 * 1 / (0.25 + 1) + 0) / 3, rel=1e-15)
    assert report.rows[MEAN]["Yes ratio"] == (1 / 2 + 4 / 4 + 0) / 3
    assert MEAN not in Pope().report(random + popular).rows


def row(id, label="yes"):
    return {"question_id": id, "image": f"COCO_{id}.jpg", "text": f"Is there a thing {id} in the image?", "label": label}


def write_lines(path, rows):
    path.write_text("".join(json.dumps(one) + "\n" for one in rows))
    return path


def test_json_lines_and_one_array_are_the_same(tmp_path):
    rows = [row(1), row(2, "no")]
    lines = write_lines(tmp_path / "gqa_pope_seem_popular.json", rows)
    read = Pope().questions(lines)
    (tmp_path / "array").mkdir()
    array = tmp_path / "array" / lines.name
    array.write_text(json.dumps(rows, indent=4))
    assert Pope().questions(array) == read
    assert read == [
        Question(1, "Is there a thing 1 in the image?", "COCO_1.jpg", "popular", "yes"),
        Question(2, "Is there a thing 2 in the image?", "COCO_2.jpg", "popular", "no"),
    ]


def test_a_folder_gives_its_splits_in_official_order(tmp_path):
    for split in ("adversarial", "random"):
        write_lines(tmp_path / f"coco_pope_{split}.json", [row(1)])
    (tmp_path / "LICENSE").write_text("text")
    assert [question.part for question in Pope().questions(tmp_path)] == ["random", "adversarial"]


def test_a_folder_of_two_data_sets_is_refused(tmp_path):
    for name in ("coco_pope_random.json", "gqa_pope_seem_random.json"):
        write_lines(tmp_path / name, [row(1)])
    with pytest.raises(UserError, match=r"several files of POPE's random split[\s\S]*coco_pope_random.json, gqa_pope_seem_random.json"):
        Pope().questions(tmp_path)


def test_a_folder_without_questions_is_refused(tmp_path):
    with pytest.raises(UserError, match="holds no question file of POPE"):
        Pope().questions(tmp_path)


@pytest.mark.parametrize("bad", [{**row(2), "label": "maybe"}, {"question_id": 2, "text": "Is there?"}, 7])
def test_a_row_that_is_no_question_is_named(tmp_path, bad):
    file = write_lines(tmp_path / "coco_pope_random.json", [row(1), bad])
    with pytest.raises(UserError, match=r"row 2 of .*coco_pope_random.json"):
        Pope().questions(file)
