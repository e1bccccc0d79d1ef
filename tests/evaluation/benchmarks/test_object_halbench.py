"""Object HalBench's figures against arithmetic by hand, with a judge and without."""

import base64
import json
from dataclasses import dataclass
from pathlib import Path

import pytest
from coco_world import Lemmas, Words, coco, synonyms

from jax_mdpo.core.errors import UserError
from jax_mdpo.evaluation.benchmarks.coco_words import read_synonyms
from jax_mdpo.evaluation.benchmarks.judge import LoadedJudge, Reply, UnreadableReply
from jax_mdpo.evaluation.benchmarks.language import Loaded
from jax_mdpo.evaluation.benchmarks.object_extraction import noun_runs, object_list
from jax_mdpo.evaluation.benchmarks.object_halbench import ObjectHalBench
from jax_mdpo.evaluation.benchmarks.protocol import ItemError
from jax_mdpo.evaluation.benchmarks.tagging import Token
from jax_mdpo.recipe.evaluating import evaluate

NOUNS = {"dogs": "dog", "glasses": "glass", "racket": "racket", "player": "player", "tennis": "tennis"}


@dataclass(frozen=True)
class Tags:
    """A tagger that calls every word a noun but those of a table; plurals lose their s."""

    others: tuple[str, ...] = ("a", "of", "red", "and")

    def load(self) -> Loaded:
        def tag(text: str) -> list[Token]:
            return [Token(NOUNS.get(word, word), "DT" if word in self.others else "NNS") for word in text.split()]

        return Loaded(tag, {"tagger": "a table"})


@dataclass(frozen=True)
class Lists:
    """A judge by a table: a word of the answer → the objects that it lists."""

    table: tuple[tuple[str, str], ...]

    def load(self) -> LoadedJudge:
        def ask(messages, parameters, read):
            (message,) = messages
            assert message["role"] == "system" and parameters["temperature"] == 0.2
            replies = [reply for key, reply in self.table if key in message["content"]]
            if not replies:
                raise ItemError("the judge is silent")
            return read(replies[0]), Reply(replies[0], "lists-1")

        return LoadedJudge(ask, {"judge": "lists"}, at_once=1)


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("JAX_MDPO_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def data(tmp_path) -> Path:
    """Image 1 shows a dog and a chair, 2 a person, 3 a bus and, by its caption, people."""
    folder = synonyms(tmp_path / "data", "synonyms_refine.txt")
    coco(folder / "annotations", {1: (["dog", "chair"], ["Dogs."]), 2: (["person"], []), 3: (["bus"], ["People, a bus."])})
    rows = [{"image_id": id, "question": "Describe it.", "image": base64.b64encode(b"jpeg").decode()} for id in (1, 2, 3)]
    (folder / "obj_halbench_300_with_image.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return folder


def figures(data: Path, benchmark: ObjectHalBench, answers: dict[int, str], **options):
    file = data.parent / "answers.jsonl"
    file.write_text(
        "".join(json.dumps({"image_id": id, "question": "Describe it.", "answer": text}) + "\n" for id, text in answers.items())
    )
    return evaluate(benchmark, answers=file, data=data, out=data.parent / "out", **options)


def judged(*table: tuple[str, str]) -> ObjectHalBench:
    return ObjectHalBench(judge=Lists(table), tagger=Tags(), tokens=Words(), lemmas=Lemmas())


LOOKED_UP = ObjectHalBench(tokens=Words(), lemmas=Lemmas())


@pytest.mark.parametrize(
    ("reply", "expected"),
    [
        ('["dog", "cup"]', ["dog", "cup"]),
        ("[]", []),
        ('```json\n["dog"]\n```', ["dog"]),
        ('```json\n[\n "dog",\n "cup"\n]\n```', ["dog", "cup"]),
        ('The objects are:\n["dog"]', ["dog"]),
        ('Here:\n```json\n["dog"]\n```\nThat is all.', ["dog"]),
    ],
)
def test_a_list_of_objects_may_stand_in_a_fence_or_come_last(reply, expected):
    assert object_list(reply) == expected


@pytest.mark.parametrize("reply", ["", "()", "dog, cup", '{"objects": ["dog"]}', '[{"name": "dog"}]', "[1]", "['dog']", '["dog"] is all.'])
def test_any_other_reply_is_asked_for_again(reply):
    with pytest.raises(UnreadableReply):
        object_list(reply)


def test_nouns_in_a_row_are_one_object():
    tagged = [("a", "DT"), ("tennis", "NN"), ("player", "NNS"), ("of", "IN"), ("Rome", "NNP"), ("Alps", "NNPS"), ("red", "JJ")]
    assert noun_runs([Token(*one) for one in tagged]) == ["tennis player", "Rome Alps"]
    assert noun_runs([Token("red", "JJ")]) == []


@pytest.mark.parametrize(
    ("listed", "expected"),
    [
        (["red dogs"], [["dog", "dog"]]),
        (["dog", "dogs", "puppy"], [["dog", "dog"], ["puppy", "dog"]]),  # each word once, but two words of one node twice
        (["tennis player"], []),  # one run of nouns, which is no word of the list
        (["racket of tennis"], [["racket", "tennis racket"]]),
        (["tennis racket"], [["tennis racket", "tennis racket"]]),
        (["wine glasses"], [["wine glass", "wine glass"]]),
        (["dog and wine glass"], [["wine glass", "wine glass"]]),  # where there are pairs, nothing else counts
        (["baby bird"], [["bird", "bird"]]),
        (["motor bike"], [["motor bike", "motorcycle"]]),  # entries of this list are stripped
        (["cheesecake"], [["cheesecake", "cake"]]),
        (["toilet", "seat"], [["toilet", "toilet"]]),
        (["seat"], [["seat", "chair"]]),
        (["stove top oven"], [["stove top oven", "oven"]]),  # a run of three nouns, and a word of the list
        ([], []),
    ],
)
def test_words_of_what_the_judge_lists(data, listed, expected):
    benchmark = judged(("long enough answer", json.dumps(listed)))
    reading = read(benchmark, data, "A long enough answer.")
    assert sorted(reading["correct"] + reading["hallucinated"]) == sorted(expected)
    assert reading["named"] == listed


def read(benchmark: ObjectHalBench, data: Path, answer: str):
    question = benchmark.questions(data)[0]
    return benchmark.scorer(data, ["object_halbench"]).read(question, answer)


def test_short_answers_do_not_go_to_the_judge(data):
    assert read(judged(), data, " A brown dog ")["named"] == []
    with pytest.raises(ItemError):
        read(judged(), data, "A brown dog sits")


def test_figures_with_a_judge(data):
    benchmark = judged(("first", '["dog", "puppy", "cup", "car"]'), ("second", '["sky"]'), ("third", '["bus", "child", "man", "dog"]'))
    found = figures(data, benchmark, {1: "Assistant: the first answer here ", 2: "the second answer here", 3: "the third  answer here"})
    # 1: dog and puppy are right, the cup is not, a car is no word of the list; 2: no object; 3: all but the dog are right
    assert found["unrounded"]["Object HalBench"] == {
        "CHAIRs": 100 * 2 / 2,
        "CHAIRi": 100 * (1 + 1) / (3 + 4),
        "CHAIRs of all": 100 * 2 / 3,
        "Recall": 100 * (1 + 0 + 2) / (2 + 1 + 2),
        "Length": (4 + 4 + 5) / 3,  # words between single spaces: two in a row hold an empty one
    }
    assert found["decimals"] == 2
    assert found["counts"] == {"responses with an object": 2, "objects": 7, "replies of lists-1": 3}
    assert found["tools"]["judge"] == "lists" and found["tools"]["tagger"] == "a table"


def test_figures_without_a_judge(data):
    answers = {1: "Dogs, a dog and a cup on a seat.", 2: "Blue sky over the sea.", 3: "A bus and a toilet with a seat."}
    found = figures(data, LOOKED_UP, answers)
    # 1: dog, dog, cup, seat, where repeats are kept; 2: none; 3: bus and toilet, whose seat is no chair
    row = found["unrounded"]["Object HalBench"]
    assert row["CHAIRi"] == 100 * (1 + 1) / (4 + 2)
    assert row["CHAIRs"] == 100 * 2 / 2
    assert row["CHAIRs of all"] == 100 * 2 / 3
    assert row["Recall"] == 100 * (2 + 0 + 1) / (2 + 1 + 2)
    assert found["tools"]["judge"] == "none"
    assert any("No judge" in remark for remark in found["remarks"])


def test_without_any_object_figures_are_zero(data):
    row = figures(data, LOOKED_UP, dict.fromkeys((1, 2, 3), "Blue sky over the sea."))["figures"]["Object HalBench"]
    assert (row["CHAIRs"], row["CHAIRi"], row["Recall"]) == (0, 0, 0)


def test_a_silent_judge_is_named(data):
    benchmark = judged(("first", '["dog"]'), ("third", "[]"))
    answers = {1: "the first answer here", 2: "the second answer here", 3: "the third answer here"}
    found = figures(data, benchmark, answers, partial=True)
    assert found["left_out"] == {"unreadable item": ["object_halbench 2: the judge is silent"]}
    assert found["items"] == {"object_halbench": 2}


def test_questions_carry_their_images(data):
    (first, *_) = LOOKED_UP.questions(data)
    assert first.image == b"jpeg"
    file = data / "obj_halbench_300_with_image.jsonl"
    file.write_text(json.dumps({"image_id": "1", "question": "Describe it."}) + "\n")
    (only,) = LOOKED_UP.questions(data)
    assert (only.id, only.image) == (1, "COCO_val2014_000000000001.jpg")


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ({"image_id": 9, "question": "?"}, "image 9"),
        ({"question": "?"}, "image_id"),
        ({"image_id": 1, "question": "?", "image": "%"}, "row 1"),
    ],
)
def test_a_question_that_does_not_fit_is_refused(data, row, said):
    (data / "obj_halbench_300_with_image.jsonl").write_text(json.dumps(row) + "\n")
    with pytest.raises(UserError, match=said):
        LOOKED_UP.questions(data)


def test_a_folder_without_questions_is_refused(data):
    (data / "obj_halbench_300_with_image.jsonl").unlink()
    with pytest.raises(UserError, match="no question file"):
        LOOKED_UP.questions(data)


def test_the_official_list_of_objects(official):
    nodes = read_synonyms(official("object_halbench") / "synonyms_refine.txt", stripped=True)
    assert len(set(nodes.values())) == 80
    assert {"motor bike", "cheesecake", "bison", "chesterfield", "coffee table"} <= nodes.keys()
