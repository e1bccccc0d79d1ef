"""AMBER's files: questions with their annotations, language only where it is needed, and both tasks in one score."""

import json

import pytest

from jax_mdpo.core.errors import UserError
from jax_mdpo.evaluation.benchmarks.amber import Amber
from jax_mdpo.evaluation.benchmarks.protocol import Item

PARTS = ("generative", "discriminative-attribute", "discriminative-existence", "discriminative-relation")


def items_of(benchmark, data, answers):
    questions = {question.id: question for question in benchmark.questions(data)}
    scorer = benchmark.scorer(data, {questions[id].part for id in answers})
    return scorer, [Item(questions[id], answer, scorer.read(questions[id], answer)) for id, answer in answers.items()]


def test_questions_carry_their_annotation_and_part(amber, without_words):
    questions = without_words.questions(amber)
    assert [question.id for question in questions] == list(range(1, 9))
    assert [question.part for question in questions] == [
        "generative",
        "generative",
        *["discriminative-attribute"] * 3,
        "discriminative-existence",
        *["discriminative-relation"] * 2,
    ]
    assert questions[0].truth["truth"] == ["sky", "person"]


def test_a_query_file_gives_its_questions_alone(amber, without_words):
    assert [question.id for question in without_words.questions(amber / "query" / "query_generative.json")] == [1, 2]


def test_the_repository_that_holds_the_data_will_do(amber, tmp_path, without_words):
    (tmp_path / "repository").mkdir()
    amber.rename(tmp_path / "repository" / "data")
    assert len(without_words.questions(tmp_path / "repository")) == 8


def test_yes_and_no_load_no_language(amber, without_words):
    scorer, items = items_of(without_words, amber, {6: "No", 7: "No", 8: "Yes"})
    report = without_words.report(items)
    assert list(report.rows) == ["Existence", "Relation"]
    assert scorer.tools == {}
    assert report.counts == {"answers neither Yes nor No": 0}


def test_descriptions_name_their_tools(amber, with_words):
    scorer, items = items_of(with_words, amber, {1: "sky sun", 2: "puppy light"})
    report = with_words.report(items)
    assert list(report.rows) == ["Generative"]
    assert report.rows["Generative"]["CHAIR"] == pytest.approx(100 * 1 / (0.001 + 2 + 2), rel=1e-12)
    assert scorer.tools == {"tagger": "every word 1.0", "word vectors": "letters 2.0"}


def test_the_score_is_of_unrounded_figures(amber, with_words):
    answers = {1: "sky sun sun", 2: "dog dog dog dog", 3: "No", 4: "No", 5: "Yes", 6: "No", 7: "Yes", 8: "maybe"}
    _, items = items_of(with_words, amber, answers)
    report = with_words.report(items)
    chair = 100 * 2 / (0.001 + 3 + 4)
    # No is answered three times, rightly twice; four questions have the truth no: as printed, 66.6 (2 / 3.001) and 50.0 (2 / 4.001)
    f1 = 100 * 2 * 0.666 * 0.5 / (0.666 + 0.5 + 0.0001)
    assert report.rows["AMBER"] == {"AMBER score": pytest.approx((100 - chair + f1) / 2, rel=1e-12)}
    assert report.counts == {"answers neither Yes nor No": 1}


def test_free_text_is_read_only_on_request_and_said_so(amber):
    given = {6: "No, there is none.", 7: "yes"}
    exact, loose = Amber(yes_no="exact"), Amber(yes_no="first_word")
    strict = exact.report(items_of(exact, amber, given)[1])
    assert strict.counts == {"answers neither Yes nor No": 2}
    assert not strict.remarks
    report = loose.report(items_of(loose, amber, given)[1])
    assert report.rows["Existence"]["Accuracy"] == pytest.approx(100 / 1.001, rel=1e-12)
    assert report.counts == {"answers neither Yes nor No": 0}
    assert any("yes_no=first_word is not the official rule" in remark for remark in report.remarks)


def test_a_folder_without_annotations_is_refused(tmp_path, without_words):
    with pytest.raises(UserError, match=r"is not AMBER's data[\s\S]*no annotations.json in"):
        without_words.questions(tmp_path)


@pytest.mark.parametrize("query", [{"id": 9, "image": "AMBER_9.jpg", "query": "What?"}, {"id": 0, "image": "x.jpg", "query": "What?"}])
def test_a_query_without_an_annotation_is_named(amber, without_words, query):
    (amber / "query" / "query_all.json").write_text(json.dumps([query]))
    with pytest.raises(UserError, match=f"AMBER's query {query['id']} has no annotation"):
        without_words.questions(amber)


def test_a_file_of_another_kind_is_refused(amber, without_words):
    with pytest.raises(UserError, match="no query file of AMBER"):
        without_words.questions(amber / "relation.json")
    (amber / "annotations.json").write_text("[")
    with pytest.raises(UserError, match=r"annotations.json is not JSON"):
        without_words.questions(amber)


def test_a_missing_word_list_is_named(amber, with_words):
    (amber / "safe_words.txt").unlink()
    with pytest.raises(UserError, match=r"safe_words.txt cannot be read"):
        with_words.scorer(amber, ["generative"])
