"""A benchmark that is put to a model: the questions that are asked as requests, and what scores the answers."""

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from jax_mdpo.core.errors import RecordError, UserError
from jax_mdpo.core.records import ImageSource
from jax_mdpo.core.seeds import generator
from jax_mdpo.data.paths import ImageRoot
from jax_mdpo.evaluation.answers.faults import SHOWN
from jax_mdpo.evaluation.answers.joining import join
from jax_mdpo.evaluation.answers.parts import by_part, wanted_parts
from jax_mdpo.evaluation.answers.reading import read_answers
from jax_mdpo.evaluation.answers.writing import answer_key, answer_row
from jax_mdpo.evaluation.benchmarks.protocol import Benchmark, Question, Scorer
from jax_mdpo.generation.generator import Generator
from jax_mdpo.generation.requests import Answer, Request
from jax_mdpo.recipe.answer_log import AnswerLog
from jax_mdpo.recipe.evaluating import accept, existing, write_figures

DRAW = 0  # the seed of the samples: the same questions for every model, and a smaller sample is part of a larger one


@dataclass(frozen=True)
class Exam:
    """asked: the questions, in official order. requests: the same for a generator. absent: the parts of which nothing is asked.

    remarks: what keeps the figures from being the official ones.
    """

    benchmark: Benchmark
    asked: tuple[Question, ...]
    requests: tuple[Request, ...]
    absent: tuple[str, ...]
    remarks: tuple[str, ...]
    scorer: Scorer

    @classmethod
    def of(
        cls,
        benchmark: Benchmark,
        data: str | Path,
        images: str | Path | None,
        *,
        only: Sequence[str] = (),
        sample: int | None = None,
        append: str = "",
    ) -> "Exam":
        """Finds the images and loads what scores, so that what is missing is said before anything is asked.

        images: the folder of the image files; None where the official file holds them. only, sample: these parts, so many questions.
        append: text after each question. Raises UserError that names the missing images; where the official tool is run on any images,
        those that are there are asked about instead.
        """
        every = benchmark.questions(existing(data))
        wanted = wanted_parts(list(by_part(every)), only)
        possible = [question for question in every if question.part in wanted]
        if benchmark.answers.any_subset:
            remarks, possible = _with_images(possible, images)
        else:
            remarks = []
        asked = possible if sample is None else drawn(possible, sample)
        if len(asked) < len(possible):
            remarks.append(f"Not the official figures: {len(asked)} of {len(possible)} questions were asked, drawn at random.")
        parts = by_part(asked)
        return cls(
            benchmark,
            tuple(asked),
            tuple(_requests(benchmark, asked, images, append)),
            tuple(part for part in by_part(every) if part not in parts),
            tuple(remarks),
            benchmark.scorer(Path(data), tuple(parts)),
        )

    def log(self, folder: Path, origin: Mapping[str, Any]) -> AnswerLog:
        """The answers in `folder`, under the official names. origin: what answers; what is asked is added to it."""
        questions = [
            (request.id, request.prompt, _digest(question.image)) for request, question in zip(self.requests, self.asked, strict=True)
        ]
        told = {**origin, "questions": hashlib.sha256(json.dumps(questions).encode()).hexdigest()}
        return AnswerLog(folder / "answers.jsonl", told, key=lambda row: answer_key(row, self.benchmark.answers))

    def take(self, log: AnswerLog, model: Callable[[], Generator], *, passing: bool = False) -> None:
        """Asks what `log` does not hold yet. model: is called where anything is. passing: see Progress."""
        questions = {request.id: question for request, question in zip(self.requests, self.asked, strict=True)}

        def row(answer: Answer) -> dict[str, Any]:
            return answer_row(questions[answer.id], answer.text, self.benchmark.answers)

        log.complete(self.requests, model, row, label="answering", unit="question", passing=passing)

    def score(self, log: AnswerLog, told: Mapping[str, Any], *, partial: bool) -> dict[str, Any]:
        """The figures of the answers in `log`, beside which they are written; see `write_figures`."""
        format = self.benchmark.answers
        joined = replace(join(self.asked, [read_answers(log.path, format)], format), absent=self.absent)
        accept(joined.faults, partial, scorable=bool(joined.answered))
        out = log.path.parent
        return write_figures(self.benchmark, self.scorer, joined, out, told, partial=partial, remarks=self.remarks)


def drawn(questions: Sequence[Question], count: int) -> list[Question]:
    """`count` of the questions, drawn from each part by its share, in their order; all of them where there are no more."""
    parts = by_part(questions)
    chosen = set()
    for part, share in _shares({part: len(inner) for part, inner in parts.items()}, min(count, len(questions))).items():
        order = generator(DRAW, "sample", part).permutation(len(parts[part]))
        chosen |= {(part, parts[part][place].id) for place in order[:share]}
    return [question for question in questions if (question.part, question.id) in chosen]


def _shares(sizes: Mapping[str, int], count: int) -> dict[str, int]:
    """How many of each part: its share rounded down, and one more where most was lost by that."""
    total = sum(sizes.values())
    shares = {part: size * count // total for part, size in sizes.items()}
    lost = sorted(sizes, key=lambda part: -(sizes[part] * count % total))
    for part in lost[: count - sum(shares.values())]:
        shares[part] += 1
    return shares


def _requests(benchmark: Benchmark, questions: Sequence[Question], images: str | Path | None, append: str) -> list[Request]:
    root = _root(questions, images)
    requests: list[Request] = []
    missing: dict[str, str] = {}  # an image's name → what is wrong with it
    seen: set[str] = set()
    for question in questions:
        id = answer_key(answer_row(question, "", benchmark.answers), benchmark.answers)
        if id in seen:
            raise UserError(f"the question {id} stands twice in the data", fix="get the file again from the benchmark's authors")
        seen.add(id)
        try:
            requests.append(Request(id, question.text + append, _image(question.image, root)))
        except RecordError as error:
            missing[str(question.image)] = str(error).splitlines()[0].removeprefix(": ")
    if missing:
        count, asked = len(questions) - len(requests), len(questions)
        named = "; ".join([*list(missing.values())[:SHOWN], *(["…"] if len(missing) > SHOWN else [])])
        raise UserError(
            f"{count} of {asked} questions cannot be asked, for want of {len(missing)} images: {named}",
            expected=f"them below {images}",
            fix="check --images",
        )
    return requests


def _image(image: str | bytes, root: ImageRoot | None) -> ImageSource:
    if isinstance(image, bytes):
        return image
    assert root is not None  # it is there where any question's image is a file
    return root.find(image, "")


def _root(questions: Sequence[Question], images: str | Path | None) -> ImageRoot | None:
    files = sum(isinstance(question.image, str) for question in questions)
    if not files:
        return None
    if images is None:
        raise UserError(f"{files} questions are about image files", fix="name the folder that holds them with --images")
    if not Path(images).is_dir():
        raise UserError(f"there is no image folder {images}", fix="check --images")
    return ImageRoot(Path(images))


def _with_images(questions: Sequence[Question], images: str | Path | None) -> tuple[list[str], list[Question]]:
    """What is to be said of the questions whose image is not there, and the others."""
    root = _root(questions, images)
    there = [one for one in questions if isinstance(one.image, bytes) or (root is not None and (root.folder / one.image).exists())]
    if not there:
        raise UserError(f"none of the {len(questions)} questions' images is in {images}", fix="check --images")
    left = len(questions) - len(there)
    return [f"{left} of {len(questions)} questions were not asked: their images were not there."] if left else [], there


def _digest(image: str | bytes) -> str:
    return image if isinstance(image, str) else hashlib.sha256(image).hexdigest()
