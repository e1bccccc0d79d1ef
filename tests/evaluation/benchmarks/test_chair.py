"""CHAIR's figures against arithmetic by hand, one case for each habit of the official tool."""

import json
from pathlib import Path

import pytest
from coco_world import Words, coco, synonyms

from jax_mdpo.core.errors import UserError
from jax_mdpo.evaluation.answers.faults import AnswersError
from jax_mdpo.evaluation.benchmarks.chair import Chair
from jax_mdpo.evaluation.benchmarks.coco_words import read_synonyms
from jax_mdpo.evaluation.benchmarks.protocol import Item
from jax_mdpo.recipe.evaluating import evaluate

CHAIR = Chair(tokens=Words())


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch) -> Path:
    monkeypatch.setenv("JAX_MDPO_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def data(tmp_path) -> Path:
    """Image 1 shows a dog and a chair, and a caption adds a couch; nothing is known of image 2 but its caption's person."""
    folder = synonyms(tmp_path / "data", "synonyms.txt")
    return coco(folder, {1: (["dog", "dog", "chair"], ["A puppy on a sofa of a couch.", "A dog."]), 2: ([], ["Some people."])})


def mentioned(data: Path, caption: str) -> list[tuple[str, str]]:
    """(word, node) of what the caption mentions."""
    scorer = CHAIR.scorer(data, ["chair"])
    return [tuple(mention) for mention in scorer.objects.mentions(scorer.words(caption))]


@pytest.mark.parametrize(
    ("caption", "expected"),
    [
        ("A Dog and two DOGS.", [("dog", "dog"), ("dog", "dog")]),  # repeats are kept
        ("A puppy with a woman.", [("puppy", "dog"), ("woman", "person")]),
        ("A bus.", []),  # its singular is "bu"
        ("Three buses and a minibus.", [("bus", "bus")]),  # and that of a minibus "minibu"
        ("A man with ties.", [("man", "person")]),  # "ty"
        ("People.", [("person", "person")]),
        ("A wine glass.", [("wine glass", "wine glass")]),  # by way of "wine glas"
        ("Wine glasses.", [("wine glass", "wine glass")]),
        ("A tennis racket.", [("racket", "tennis racket")]),  # "tenni racket" is no pair, the racket alone is a word
        ("A motor bike.", []),  # the list has it with a space in front
        ("A motorbike.", [("motorbike", "motorcycle")]),
        ("A cheesecake, a cupcake.", [("cupcake", "cake")]),
        ("A hot dog.", [("hot dog", "hot dog")]),  # and no dog
        ("A hot dog dog.", [("hot dog", "hot dog"), ("dog", "dog")]),
        ("A traffic light, a stop light.", [("traffic light", "traffic light")]),  # a pair, but no word of this list
        ("A baby bird and an adult elephant.", [("bird", "bird"), ("elephant", "elephant")]),  # no person
        ("A baby cub.", []),
        ("A child holds an animal.", [("child", "person")]),
        ("A passenger train, a passenger jet.", [("train", "train"), ("jet", "airplane")]),
        ("Train tracks.", []),  # no train
        ("A bow tie.", [("tie", "tie")]),
        ("A stove top oven.", [("stove", "oven"), ("oven", "oven")]),  # three words are never tried
        ("A toilet seat on a seat.", [("toilet", "toilet")]),
        ("The seat of the toilet and a stool.", [("toilet", "toilet"), ("stool", "chair")]),
        ("A seat next to a potty.", [("seat", "chair"), ("potty", "toilet")]),  # only the word toilet counts
        ("", []),
    ],
)
def test_words_that_count_as_objects(data, caption, expected):
    assert mentioned(data, caption) == expected


def scored(data: Path, captions: list[tuple[int, str]]):
    questions = {question.id: question for question in CHAIR.questions(data)}
    scorer = CHAIR.scorer(data, ["chair"])
    return CHAIR.report([Item(questions[id], text, scorer.read(questions[id], text)) for id, text in captions])


def test_objects_of_an_image_are_those_of_its_instances_and_captions(data):
    questions = {question.id: question for question in CHAIR.questions(data)}
    scorer = CHAIR.scorer(data, ["chair"])
    reading = scorer.read(questions[1], "A puppy and a cup of a man on a settee near a dog.")
    assert reading == {
        "present": ["chair", "couch", "dog"],
        "correct": [["puppy", "dog"], ["dog", "dog"]],
        "hallucinated": [["cup", "cup"], ["man", "person"]],
    }
    assert questions[2].truth.categories == ()
    assert questions[1].image == "COCO_val2014_000000000001.jpg"


def test_figures_pool_over_captions(data):
    report = scored(
        data,
        [
            (1, "A puppy, a dog and a cup."),  # 3 mentions, 1 hallucinated; of dog, chair and couch it has 1
            (1, "A chair and a stool near two cups and a man."),  # 4 mentions, 2 hallucinated; 1 of 3
            (2, "A child."),  # 1 mention; 1 of 1
            (2, "Nothing much."),  # none; 0 of 1
        ],
    )
    figures = report.rows["CHAIR"]
    assert figures["CHAIRs"] == 100 * 2 / 4
    assert figures["CHAIRi"] == 100 * (1 + 2) / (3 + 4 + 1)
    assert figures["Recall"] == 100 * (1 + 1 + 1 + 0) / (3 + 3 + 1 + 1)
    assert report.counts == {"mentions of objects": 3 + 4 + 1}


def test_captions_without_objects_are_no_crash(data):
    assert scored(data, [(1, "Blue sky.")]).rows["CHAIR"] == {"CHAIRs": 0.0, "CHAIRi": 0.0, "Recall": 0.0}


ROWS = [{"image_id": 1, "caption": "A dog with a cup."}, {"image_id": 2, "caption": "A man."}]


@pytest.mark.parametrize(
    "content",
    [
        "".join(json.dumps(row) + "\n" for row in ROWS),
        json.dumps(ROWS),
        json.dumps({"overall": {"SPICE": 0.1}, "imgToEval": {str(row["image_id"]): row for row in ROWS}}, indent=1),
    ],
    ids=["JSON lines", "COCO's results", "the official file"],
)
def test_answers_become_metrics(data, tmp_path, content):
    answers = tmp_path / "answers.json"
    answers.write_text(content)
    found = evaluate(CHAIR, answers=answers, data=data, out=tmp_path / "out")
    assert found["figures"]["CHAIR"] == {"CHAIRs": 50.0, "CHAIRi": round(100 / 3, 1), "Recall": 50.0}
    assert found["items"] == {"chair": 2}
    assert found["tools"]["tokeniser"] == "words and signs"


def test_a_faulty_caption_of_the_official_file_is_named(data, tmp_path):
    answers = tmp_path / "answers.json"
    answers.write_text(json.dumps({"imgToEval": {"1": ROWS[0], "2": "A man.", "3": {"image_id": 3, "caption": "A man."}}}))
    with pytest.raises(AnswersError, match=r"malformed answer: row 2(.|\n)*unknown id: '3'"):
        evaluate(CHAIR, answers=answers, data=data, out=tmp_path / "out")


def test_a_split_without_captions_is_refused(data):
    (data / "captions_val2014.json").unlink()
    with pytest.raises(UserError, match=r"in pairs(.|\n)*instances_val2014.json"):
        CHAIR.questions(data)


def test_categories_that_are_no_objects_are_refused(data):
    file = data / "instances_val2014.json"
    content = json.loads(file.read_text())
    content["categories"][1]["name"] = "unicorn"
    file.write_text(json.dumps(content))
    with pytest.raises(UserError, match="unicorn"):
        CHAIR.questions(data)


def test_instances_are_read_once_and_again_when_they_change(data, cache):
    first = {question.id: question.truth.categories for question in CHAIR.questions(data)}
    (kept,) = (cache / "coco_categories").iterdir()
    kept.write_text(json.dumps({"1": ["bus"]}))
    assert {question.id: question.truth.categories for question in CHAIR.questions(data)} == {1: ("bus",), 2: ()}
    coco(data, {1: (["dog", "chair"], []), 2: (["person"], [])})
    assert {question.id: question.truth.categories for question in CHAIR.questions(data)} == {**first, 2: ("person",)}


def test_train_and_validation_images_stand_side_by_side(data):
    coco(data / "annotations", {7: (["person"], ["A dog."])}, split="train2014")
    assert [question.id for question in CHAIR.questions(data)] == [1, 2, 7]


def test_the_official_list_of_objects(official):
    nodes = read_synonyms(official("chair") / "synonyms.txt", stripped=False)
    assert len(set(nodes.values())) == 80
    assert " motor bike" in nodes and "motor bike" not in nodes
    assert " cheesecake" in nodes and "cheesecake" not in nodes
    assert "bison" in nodes and "chesterfield" in nodes  # the last of their lines, which end with a space
