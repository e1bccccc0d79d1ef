"""Answers find their questions, by id or by order, and whatever does not fit is named."""

import json

import pytest

from jax_mdpo.core.errors import UserError
from jax_mdpo.evaluation.answers.faults import AnswersError
from jax_mdpo.evaluation.answers.joining import join
from jax_mdpo.evaluation.answers.reading import read_answers
from jax_mdpo.evaluation.benchmarks.protocol import AnswerFormat, Question

FORMAT = AnswerFormat(answer=("answer", "text"), id=("question_id", "id"), part=("split",), by_order=True)


def question(part, id, thing):
    return Question(id, f"Is there a {thing} in the image?", f"{id}.jpg", part, "yes")


QUESTIONS = [question("red", 1, "dog"), question("red", 2, "cat"), question("blue", 1, "dog"), question("blue", 2, "bus")]


@pytest.fixture
def joined(tmp_path):
    """Joins files of rows, each a name and a list of rows or lines of text, with questions."""

    def joining(*files, questions=QUESTIONS, format=FORMAT, only=()):
        read = []
        for name, rows in files:
            path = tmp_path / name
            path.write_text("".join((row if isinstance(row, str) else json.dumps(row)) + "\n" for row in rows))
            read.append(read_answers(path, format))
        return join(questions, read, format, only=only)

    return joining


def answered(found):
    return [(question.part, question.id, answer) for question, answer in found.answered]


def in_order(things, **more):
    return [{"question": f"Is there a {thing} in the image?", "answer": f"about {thing}", **more} for thing in things]


def test_by_order_a_part_is_known_by_its_questions(joined):
    found = joined(("answers.json", in_order(["dog", "bus"])))
    assert answered(found) == [("blue", 1, "about dog"), ("blue", 2, "about bus")]
    assert (found.absent, found.faults.found) == (("red",), {})


def test_by_order_all_parts_may_stand_in_one_file_or_in_several(joined):
    expected = [("red", 1, "about dog"), ("red", 2, "about cat"), ("blue", 1, "about dog"), ("blue", 2, "about bus")]
    assert answered(joined(("all.json", in_order(["dog", "cat", "dog", "bus"])))) == expected
    assert answered(joined(("a.json", in_order(["dog", "bus"])), ("b.json", in_order(["dog", "cat"])))) == expected


def test_by_order_the_prompt_around_a_question_and_its_case_are_free(joined):
    rows = [{"question": f"is there a {thing}  in the image?\nAnswer yes or no.", "answer": "yes"} for thing in ("dog", "cat")]
    assert [place[:2] for place in answered(joined(("a.json", rows)))] == [("red", 1), ("red", 2)]


def test_by_order_a_count_that_fits_no_part_is_an_error(joined):
    with pytest.raises(AnswersError, match=r"fits no part[\s\S]*2 \(red\), 2 \(blue\), 4 \(all\)[\s\S]*got: 3 answers"):
        joined(("a.json", in_order(["dog", "cat", "dog"])))


def test_by_order_other_questions_are_an_error_that_names_the_first(joined):
    with pytest.raises(AnswersError, match=r"that of no part[\s\S]*red: row 2 of a.json answers 'Is there a fox in the image\?' where"):
        joined(("a.json", in_order(["dog", "fox"])))


def test_by_order_without_the_questions_nothing_is_joined(joined):
    with pytest.raises(AnswersError, match="cannot be told what it answers"):
        joined(("a.json", [{"answer": "yes"}, {"answer": "no"}]))


def test_by_order_a_broken_row_keeps_its_place(joined):
    first, second = in_order(["dog", "cat"])
    found = joined(("a.json", ['{"question": "Is there', second]))
    assert answered(found) == [("red", 2, "about cat")]
    assert list(found.faults.found) == ["malformed answer", "question without an answer"]
    assert "row 1 of a.json is not JSON" in found.faults.found["malformed answer"][0]
    assert first["answer"] == "about dog"


def by_id(*ids, **more):
    return [{"question_id": id, "answer": f"to {id}", **more} for id in ids]


def test_ids_that_are_unique_need_nothing_else_in_any_order(joined):
    found = joined(("a.json", by_id("2", 1)), questions=QUESTIONS[:2])
    assert answered(found) == [("red", 1, "to 1"), ("red", 2, "to 2")]


def test_ids_in_several_parts_are_told_by_a_field(joined):
    found = joined(("a.json", by_id(1, split="red") + by_id(1, 2, split="blue") + by_id(2, split="red")))
    assert answered(found) == [("red", 1, "to 1"), ("red", 2, "to 2"), ("blue", 1, "to 1"), ("blue", 2, "to 2")]


def test_ids_in_several_parts_are_told_by_their_questions(joined):
    rows = [{"id": 2, "question": QUESTIONS[3].text, "text": "b"}, {"id": 1, "question": QUESTIONS[2].text, "text": "a"}]
    assert answered(joined(("a.json", rows))) == [("blue", 1, "a"), ("blue", 2, "b")]


def test_ids_in_several_parts_are_told_by_the_name_of_the_file(joined):
    found = joined(("answers_blue.json", by_id(1, 2)))
    assert answered(found) == [("blue", 1, "to 1"), ("blue", 2, "to 2")]


@pytest.mark.parametrize("name", ["answers.json", "red_or_blue.json"])
def test_ids_in_several_parts_that_nothing_tells_apart_are_an_error(joined, name):
    with pytest.raises(AnswersError, match=r"does not say which part[\s\S]*one of red, blue"):
        joined((name, by_id(1, 2)))


def test_faults_are_counted_and_named(joined):
    rows = [
        *by_id(1),
        *by_id(1),
        *by_id(7),
        {"question_id": 2, "answer": 5},
        {"answer": "no id"},
        {"question_id": True, "answer": "x"},
        "[]",
    ]
    found = joined(("a.json", rows), questions=[*QUESTIONS[:2], question("red", 3, "fox")])
    assert answered(found) == []
    assert {kind: len(names) for kind, names in found.faults.found.items()} == {
        "malformed answer": 4,
        "unknown id": 1,
        "id with several answers": 1,
        "question without an answer": 2,
    }
    told = "\n".join(found.faults.lines())
    assert "red 1 (row 1 of a.json, row 2 of a.json)" in told
    assert "'7' (row 3 of a.json)" in told
    assert "row 4 of a.json has no text under 'answer' or 'text' but 5" in told
    assert "row 5 of a.json has no id, as others have" in told
    assert "row 6 of a.json has an id that is neither a number nor text: True" in told
    assert "red 2; red 3" in told


def test_an_answer_to_another_question_under_the_same_id_is_a_fault(joined):
    rows = [{"id": 1, "question": "Is there a cat in the image?", "answer": "yes"}, *by_id(2)]
    found = joined(("a.json", rows), questions=QUESTIONS[:2])
    assert answered(found) == [("red", 2, "to 2")]
    assert found.faults.found["answer to another question"] == [
        "row 1 of a.json answers 'Is there a cat in the image?', red 1 is 'Is there a dog in the image?'"
    ]


def test_a_format_with_ids_is_never_joined_by_order(joined):
    with pytest.raises(AnswersError, match="carries no ids"):
        joined(("a.json", in_order(["dog", "cat"])), format=AnswerFormat(answer=("answer",), id=("id",)))


def test_a_sample_of_the_questions_is_no_fault_where_that_is_official(joined):
    captions = AnswerFormat(answer=("caption",), id=("image_id",), any_subset=True)
    found = joined(("a.json", [{"image_id": 2, "caption": "a bus"}]), questions=QUESTIONS[2:], format=captions)
    assert (answered(found), found.faults.found) == ([("blue", 2, "a bus")], {})


def test_only_some_parts_are_wanted(joined):
    rows = by_id(1, 2, split="red") + by_id(1, split="blue")
    found = joined(("a.json", rows), only=["red"])
    assert ([place[0] for place in answered(found)], found.absent, found.faults.found) == (["red", "red"], ("blue",), {})


def test_a_name_stands_for_the_parts_that_belong_to_it(joined):
    questions = [question("say", 1, "dog"), question("ask-a", 2, "dog"), question("ask-b", 3, "dog")]
    found = joined(("a.json", by_id(1, 2, 3)), questions=questions, only=["ask"])
    assert ([place[0] for place in answered(found)], found.absent) == (["ask-a", "ask-b"], ("say",))


def test_a_part_that_does_not_exist_is_an_error(joined):
    with pytest.raises(UserError, match=r"no part 'rad'[\s\S]*did you mean 'red'"):
        joined(("a.json", by_id(1, split="red")), only=["rad"])


def test_a_file_that_is_absent_or_empty_is_an_error(tmp_path):
    with pytest.raises(UserError, match="there is no answer file"):
        read_answers(tmp_path / "none.json", FORMAT)
    (tmp_path / "empty.json").write_text("")
    with pytest.raises(UserError, match=r"holds no answers[\s\S]*'answer' or 'text'"):
        read_answers(tmp_path / "empty.json", FORMAT)
