"""AMBER's yes/no questions: what counts as an answer, and figures as arithmetic."""

import pytest

from jax_mdpo.evaluation.benchmarks.amber_discriminative import read, rows, said

STATE, NUMBER, ACTION = "State", "Number", "Action"
ALL = ("discriminative-existence", "discriminative-attribute", "discriminative-relation")


@pytest.mark.parametrize(
    ("answer", "exact", "first_word"),
    [
        ("Yes", "Yes", "Yes"),
        ("No", "No", "No"),
        ("yes", "neither", "Yes"),
        ("NO", "neither", "No"),
        ("No.", "neither", "No"),
        (" No", "neither", "No"),
        ("Yes, there is no doubt", "neither", "Yes"),
        ('"No", it seems', "neither", "No"),
        ("There is no dog", "neither", "neither"),
        ("Not really", "neither", "neither"),
        ("Nothing", "neither", "neither"),
        ("", "neither", "neither"),
        ("…", "neither", "neither"),
    ],
)
def test_what_an_answer_says(answer, exact, first_word):
    assert said(answer, "exact") == exact
    assert said(answer, "first_word") == first_word


def readings(kind, truths_and_answers):
    return [read(kind, truth, answer, "exact") for truth, answer in truths_and_answers]


def f1(precision, recall, epsilon=0.0001):
    """From percentages as they are printed."""
    return 100 * 2 * (precision / 100) * (recall / 100) / (precision / 100 + recall / 100 + epsilon)


def test_no_is_positive_and_an_answer_that_is_neither_is_wrong():
    given = [("no", "No"), ("no", "Yes"), ("no", "maybe"), ("yes", "No"), ("yes", "No"), ("yes", "Yes"), ("yes", "yes")]
    found = rows(readings("Relation", given), ["discriminative-relation"])["Relation"]
    assert found["Accuracy"] == pytest.approx(100 * (1 + 1) / 7.001, rel=1e-12)
    assert found["Precision"] == pytest.approx(100 * 1 / 3.001, rel=1e-12)  # of three answers No
    assert found["Recall"] == pytest.approx(100 * 1 / 3.001, rel=1e-12)  # of three questions whose truth is no
    assert found["F1"] == pytest.approx(f1(33.3, 33.3), rel=1e-12)  # not of 33.322…


def test_existence_has_an_epsilon_of_its_own():
    given = [("no", "No")] * 3 + [("no", "Yes")]
    found = rows(readings("Existence", given), ["discriminative-existence"])["Existence"]
    assert found["Accuracy"] == found["Recall"] == pytest.approx(100 * 3 / 4.001, rel=1e-12)
    assert found["Precision"] == pytest.approx(100 * 3 / 3.001, rel=1e-12)
    assert found["F1"] == pytest.approx(f1(100.0, 75.0, epsilon=0.001), rel=1e-12)


def test_attribute_adds_up_the_counters_of_three_kinds():
    given = readings(STATE, [("no", "No"), ("yes", "Yes")]) + readings(NUMBER, [("no", "Yes")]) + readings(ACTION, [("yes", "No")])
    found = rows(given, ["discriminative-attribute"])
    assert list(found) == ["Attribute", "State", "Number", "Action"]
    assert found["Attribute"]["Accuracy"] == pytest.approx(100 * 2 / (4 + 3 * 0.001), rel=1e-12)
    assert found["Attribute"]["Precision"] == pytest.approx(100 * 1 / (2 + 3 * 0.001), rel=1e-12)
    assert found["Attribute"]["Recall"] == pytest.approx(100 * 1 / (2 + 3 * 0.001), rel=1e-12)
    assert found["Attribute"]["F1"] == pytest.approx(f1(49.9, 49.9), rel=1e-12)  # 100 / 2.003 = 49.925…
    assert found["State"]["Accuracy"] == pytest.approx(100 * 2 / 2.001, rel=1e-12)
    assert found["Number"] == {"Accuracy": 0.0, "Precision": 0.0, "Recall": 0.0, "F1": 0.0}
    assert found["Action"]["Precision"] == 0.0


def test_the_whole_task_has_one_counter_and_stands_only_where_all_its_parts_do():
    given = readings("Existence", [("no", "No")]) + readings(STATE, [("yes", "Yes")]) + readings("Relation", [("yes", "No")])
    found = rows(given, ALL)
    assert list(found) == ["Discriminative", "Existence", "Attribute", "State", "Number", "Action", "Relation"]
    assert found["Discriminative"]["Accuracy"] == pytest.approx(100 * 2 / 3.001, rel=1e-12)
    assert found["Discriminative"]["Precision"] == pytest.approx(100 * 1 / 2.001, rel=1e-12)
    assert found["Discriminative"]["F1"] == pytest.approx(f1(50.0, 99.9), rel=1e-12)  # 49.975… and 99.900…
    assert list(rows(given[:1] + given[2:], [ALL[0], ALL[2]])) == ["Existence", "Relation"]
