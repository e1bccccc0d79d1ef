"""Answers of a model of ours, under the names of the official format."""

from collections.abc import Mapping
from typing import Any

from jax_mdpo.evaluation.benchmarks.protocol import AnswerFormat, Question


def answer_row(question: Question, answer: str, format: AnswerFormat) -> dict[str, Any]:
    """One row of an answer file; `answers/reading.py` reads it back. It carries the id even where the official format goes by order."""
    row: dict[str, Any] = {format.id[0]: question.id}
    if format.part:
        row[format.part[0]] = question.part
    if format.question:
        row[format.question[0]] = question.text
    return row | {format.answer[0]: answer}


def answer_key(row: Mapping[str, Any], format: AnswerFormat) -> str:
    """Which question such a row answers; KeyError where it is no such row."""
    return " ".join(str(row[names[0]]) for names in (format.part, format.id) if names)
