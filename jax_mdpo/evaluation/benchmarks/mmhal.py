"""MMHal-Bench (arXiv 2309.14525): a judge rates answers to 96 questions; the figures of its eval_gpt4.py."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jax_mdpo.core.config import config
from jax_mdpo.core.errors import UserError
from jax_mdpo.data.readers.rows import read_rows
from jax_mdpo.evaluation.benchmarks.judge import Ask, Judge
from jax_mdpo.evaluation.benchmarks.judged import answering_models, needed, remarks
from jax_mdpo.evaluation.benchmarks.prompting import Prompt, prompt
from jax_mdpo.evaluation.benchmarks.protocol import AnswerFormat, Item, Question, Reading, Report

TEMPLATE = "mmhal-bench_answer_template.json"
TYPES = ("attribute", "adversarial", "comparison", "counting", "relation", "environment", "holistic", "other")  # of question i: i mod 8
COUNT = 96
RATINGS = range(7)
HALLUCINATION_FREE = 3  # ratings from here on
PLACES = ("image_content", "question", "gt_answer", "model_answer")
PARAMETERS = {"temperature": 0.0}


@config
class MmHal:
    """The folder of mmhal-bench_answer_template.json, or that file. An answer file is a copy of it with model_answer filled in.

    judge: what rates; figures of different judges are not comparable. prompt: a text file with {} for the image's contents, the
    question, the human answer and the model's, in this order, or the official eval_gpt4.py; by default a text of our own, whose ratings
    are not comparable with published ones.
    """

    judge: Judge | None = None
    prompt: Path | None = None

    answers = AnswerFormat(answer=("model_answer", "answer", "text"), id=("id", "question_id"), by_order=True)

    def questions(self, data: Path) -> Sequence[Question]:
        """The 96 questions, by their place in the file."""
        file = data / TEMPLATE if data.is_dir() else data
        rows = list(read_rows(file))
        if len(rows) != COUNT:
            raise UserError(f"{file} is not MMHal-Bench's template", expected=f"{COUNT} questions", got=f"{len(rows)}")
        return [_question(row, place, file) for place, row in enumerate(rows)]

    def scorer(self, data: Path, parts: Collection[str]) -> "MmHalScorer":
        text = prompt(self.prompt, ours="mmhal", fields=PLACES)
        judge = needed(self.judge).load()
        return MmHalScorer(judge.ask, text, {**judge.tools, "judge's prompt": text.name}, judge.at_once)

    def report(self, items: Sequence[Item]) -> Report:
        readings = [item.reading for item in items]
        rows = {"MMHal-Bench": figures([reading["rating"] for reading in readings])}
        for type in TYPES:
            ratings = [reading["rating"] for reading in readings if reading["type"] == type]
            if ratings:
                rows[type] = figures(ratings)
        unclear = sum(not reading["clear"] for reading in readings)
        counts = {"replies without a clear rating, taken as 0": unclear, **answering_models(readings)}
        return Report(rows, decimals=2, better={"Score": "more", "HalRate": "less"}, counts=counts, remarks=remarks(self.prompt))


@dataclass(frozen=True)
class MmHalScorer:
    """Ratings from 0 to 6, of which those below 3 mean hallucination."""

    ask: Ask
    prompt: Prompt
    tools: Mapping[str, str]
    at_once: int

    def read(self, question: Question, answer: str) -> Reading:
        """The judge's rating; a reply without a clear one rates 0, as the official tool has it, and is counted in the report."""
        content = self.prompt.filled({**question.truth["told"], "question": question.text, "model_answer": answer})
        rating, reply = self.ask([{"role": "user", "content": content}], PARAMETERS, rating_in)
        return {
            "type": question.truth["type"],
            "rating": 0 if rating is None else rating,
            "clear": rating is not None,
            "reply": reply.text,
            "judge": reply.model,
        }


def rating_in(reply: str) -> int | None:
    """The one s from 0 to 6 for which "rating: s" stands in the reply, without case; None where there is none or several."""
    found = [rating for rating in RATINGS if f"rating: {rating}" in reply.lower()]
    return found[0] if len(found) == 1 else None


def figures(ratings: Sequence[int]) -> dict[str, float]:
    """The mean rating, and the share of ratings that mean hallucination."""
    hallucinated = sum(rating < HALLUCINATION_FREE for rating in ratings)
    return {"Score": sum(ratings) / len(ratings), "HalRate": hallucinated / len(ratings)}


def _question(row: dict[str, Any] | str, place: int, file: Path) -> Question:
    where = f"question {place} of {file}"
    if isinstance(row, str):
        raise UserError(f"{where} {row}", fix="get the file again from the benchmark's authors")
    missing = [name for name in ("question_type", "image_id", "image_content", "question", "gt_answer") if name not in row]
    if missing:
        raise UserError(f"{where} is none of MMHal-Bench's: it lacks {', '.join(missing)}")
    if row["question_type"] != TYPES[place % len(TYPES)]:
        raise UserError(f"{where} is not in its place", expected=f"type {TYPES[place % len(TYPES)]}", got=f"type {row['question_type']}")
    told = {"image_content": ", ".join(row["image_content"]), "gt_answer": row["gt_answer"]}
    return Question(place, row["question"], _image(row), "mmhal", {"type": row["question_type"], "told": told})


def _image(row: Mapping[str, Any]) -> str:
    """The image's file name: the last part of its address, as the official download keeps it."""
    return str(row.get("image_src", row["image_id"])).rsplit("/", 1)[-1]
