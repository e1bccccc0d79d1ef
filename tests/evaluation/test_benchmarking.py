"""The generic runner: every answer is read once, in order, at once where the scorer asks for it; a failing item is named."""

import threading
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from jax_mdpo.evaluation.answers.faults import Faults
from jax_mdpo.evaluation.benchmarking import score_answers
from jax_mdpo.evaluation.benchmarks.protocol import AnswerFormat, ItemError, Question, Report

QUESTIONS = [Question(place, "What?", "1.jpg", "one" if place < 3 else "two") for place in range(6)]


@dataclass
class Lengths:
    """Counts letters; `broken` answers cannot be read. At four at once, no answer is read before four of them are waiting."""

    at_once: int = 1
    broken: tuple[str, ...] = ()
    tools: dict = field(default_factory=lambda: {"ruler": "1.0"})
    answers = AnswerFormat(answer=("answer",), id=("id",))

    def questions(self, data):
        return QUESTIONS

    def scorer(self, data, parts):
        self.together = threading.Barrier(self.at_once, timeout=30)
        return self

    def read(self, question, answer):
        self.together.wait()
        if answer in self.broken:
            raise ItemError("the ruler broke", fix="another ruler")
        return {"length": len(answer)}

    def report(self, items):
        return Report({"all": {"Length": sum(item.reading["length"] for item in items)}}, decimals=1)


def score(benchmark, answers):
    faults, advanced = Faults(), []
    answered = list(zip(QUESTIONS, answers, strict=False))
    scored = score_answers(benchmark, benchmark.scorer(Path("data"), ("one", "two")), answered, faults, advance=lambda: advanced.append(1))
    return scored, faults, len(advanced)


@pytest.mark.parametrize("at_once", [1, 2])
def test_items_keep_their_order(at_once):
    benchmark = Lengths(at_once=at_once)
    scored, faults, advanced = score(benchmark, ["a", "bb", "ccc", "dddd"])
    assert [(item.question.id, item.reading["length"]) for item in scored.items] == [(0, 1), (1, 2), (2, 3), (3, 4)]
    assert scored.report.rows["all"]["Length"] == 1 + 2 + 3 + 4
    assert (scored.tools, advanced, bool(faults)) == ({"ruler": "1.0"}, 4, False)


@pytest.mark.parametrize("at_once", [1, 2])
def test_an_item_that_cannot_be_read_is_named_and_left_out(at_once):
    scored, faults, advanced = score(Lengths(at_once=at_once, broken=("bb",)), ["a", "bb", "ccc", "dddd"])
    assert scored.report.rows["all"]["Length"] == 1 + 3 + 4
    assert (advanced, list(faults.found)) == (4, ["unreadable item"])
    assert faults.found["unreadable item"][0].startswith("one 1: the ruler broke")


def test_where_nothing_can_be_read_there_are_no_figures():
    scored, faults, _ = score(Lengths(broken=("a", "b")), ["a", "b"])
    assert scored is None
    assert len(faults.found["unreadable item"]) == 2


def test_another_error_is_not_taken_for_a_fault_of_the_item():
    class Wrong(Lengths):
        def read(self, question, answer):
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        score(Wrong(), ["a"])
