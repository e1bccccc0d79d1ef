"""AMBER (arXiv 2311.07397): a description of each image, and yes/no questions; the figures of junyangwang0410/AMBER's inference.py."""

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jax_mdpo.core.config import config
from jax_mdpo.core.errors import UserError
from jax_mdpo.evaluation.benchmarks import amber_discriminative, amber_generative
from jax_mdpo.evaluation.benchmarks.amber_discriminative import KINDS, NEITHER, OVERALL, PARTS, YesNo
from jax_mdpo.evaluation.benchmarks.amber_generative import Generative, Words
from jax_mdpo.evaluation.benchmarks.nouns import NltkNouns, NounFinder
from jax_mdpo.evaluation.benchmarks.protocol import AnswerFormat, Better, Item, Question, Reading, Report
from jax_mdpo.evaluation.benchmarks.word_vectors import SpacyVectors, WordSimilarity

GENERATIVE = "generative"
BETTER: Mapping[str, Better] = {
    **dict.fromkeys(("CHAIR", "Hal", "Cog"), "less"),
    **dict.fromkeys(("Cover", "Accuracy", "Precision", "Recall", "F1", "AMBER score"), "more"),
}


@config
class Amber:
    """AMBER's folder (`data` of its repository), or one of its query files: then only that file's questions.

    yes_no: "exact" is official, an answer is Yes or No or wrong; "first_word" takes the answer's first word whatever its case, which
    is not official.
    nouns, similarity: the natural-language parts of the generative task.
    """

    yes_no: YesNo = "exact"
    nouns: NounFinder = NltkNouns()
    similarity: WordSimilarity = SpacyVectors()

    answers = AnswerFormat(answer=("response", "answer", "text"), id=("id", "question_id"), question=("query",))

    def questions(self, data: Path) -> Sequence[Question]:
        """The questions with their annotations as truth; parts are called as the query files."""
        root = _root(data)
        annotations = _read(root / "annotations.json")
        queries = data if data.is_file() and data.name != "annotations.json" else _all_queries(root)
        return [_question(row, annotations, queries) for row in _read(queries)]

    def scorer(self, data: Path, parts: Collection[str]) -> "AmberScorer":
        if GENERATIVE not in parts:
            return AmberScorer(self.yes_no, None, {})
        root = _root(data)
        words = Words(_read(root / "relation.json"), frozenset(_text(root / "safe_words.txt").splitlines()))
        similarity, nouns = self.similarity.load(), self.nouns.load()
        return AmberScorer(self.yes_no, Generative(words, nouns.function, similarity.function), {**nouns.tools, **similarity.tools})

    def report(self, items: Sequence[Item]) -> Report:
        parts = {item.question.part for item in items}
        described = [item.reading for item in items if item.question.part == GENERATIVE]
        asked = [item.reading for item in items if item.question.part != GENERATIVE]
        rows = {"Generative": amber_generative.figures(described)} if described else {}
        rows |= amber_discriminative.rows(asked, parts)
        if "Generative" in rows and OVERALL.name in rows:
            rows["AMBER"] = {"AMBER score": (100 - rows["Generative"]["CHAIR"] + rows[OVERALL.name]["F1"]) / 2}
        neither = sum(reading["said"] == NEITHER for reading in asked)
        if not asked:
            return Report(rows, 1, BETTER)
        remarks = [] if self.yes_no == "exact" else [f"yes_no={self.yes_no} is not the official rule, which takes Yes and No alone"]
        return Report(rows, 1, BETTER, {"answers neither Yes nor No": neither}, remarks)


@dataclass(frozen=True)
class AmberScorer:
    """Both tasks; `generative` is absent where no such answer is to be scored."""

    yes_no: YesNo
    generative: Generative | None
    tools: Mapping[str, str]
    at_once: int = 1

    def read(self, question: Question, answer: str) -> Reading:
        annotation = question.truth
        if question.part != GENERATIVE:
            return amber_discriminative.read(KINDS[annotation["type"]], annotation["truth"], answer, self.yes_no)
        assert self.generative is not None  # the parts that the scorer was made for hold this one
        return self.generative.read(annotation, answer)


def _root(data: Path) -> Path:
    """The folder of annotations.json, to which `data` leads."""
    candidates = (data, data / "data") if data.is_dir() else (data.parent, data.parent.parent)
    for folder in candidates:
        if (folder / "annotations.json").is_file():
            return folder
    raise UserError(
        f"{data} is not AMBER's data",
        expected="the folder with annotations.json, relation.json, safe_words.txt and query/, or one of its query files",
        got=f"no annotations.json in {' or '.join(map(str, candidates))}",
    )


def _all_queries(root: Path) -> Path:
    beside = root / "query_all.json"
    return beside if beside.is_file() else root / "query" / "query_all.json"


def _question(row: Any, annotations: Sequence[Any], file: Path) -> Question:
    if not isinstance(row, dict) or not isinstance(row.get("id"), int) or not {"image", "query"} <= row.keys():
        raise UserError(f"{file} is no query file of AMBER", expected="an array of objects with id, image and query", got=f"{row!r:.80}")
    id = row["id"]
    annotation = annotations[id - 1] if 0 < id <= len(annotations) else None
    if annotation is None or annotation["id"] != id:
        raise UserError(f"AMBER's query {id} has no annotation", expected=f"it as entry {id} of annotations.json")
    part = GENERATIVE if annotation["type"] == GENERATIVE else PARTS[KINDS[annotation["type"]]]
    return Question(id, row["query"], row["image"], part, annotation)


def _read(path: Path) -> Any:
    try:
        return json.loads(_text(path))
    except json.JSONDecodeError as error:
        raise UserError(f"{path} is not JSON: {error}", fix="get the file again from the benchmark's authors") from None


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror}", fix="get AMBER's data folder whole from its authors") from None
