"""Object HalBench (arXiv 2312.00849): which objects of detailed answers are not in the image; the figures of RLHF-V's eval tool."""

import base64
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jax_mdpo.core.config import config
from jax_mdpo.core.errors import UserError
from jax_mdpo.data.readers.rows import read_rows
from jax_mdpo.evaluation.benchmarks.caption_words import Lemma, Lemmatiser, NltkTokens, Split, Tokeniser, WordNetLemmas
from jax_mdpo.evaluation.benchmarks.coco_annotations import Annotated, annotated
from jax_mdpo.evaluation.benchmarks.coco_words import RENAMED, ObjectWords, read_synonyms
from jax_mdpo.evaluation.benchmarks.judge import Judge
from jax_mdpo.evaluation.benchmarks.judged import answering_models, remarks
from jax_mdpo.evaluation.benchmarks.mentions import Sums, compared, percent
from jax_mdpo.evaluation.benchmarks.object_extraction import PLACES, Extraction
from jax_mdpo.evaluation.benchmarks.prompting import prompt
from jax_mdpo.evaluation.benchmarks.protocol import AnswerFormat, Better, Item, Question, Reading, Report
from jax_mdpo.evaluation.benchmarks.tagging import SpacyTagger, Tagger

EXTRA_PAIRS = ("home plate", "train track")
BETTER: Mapping[str, Better] = {"CHAIRs": "less", "CHAIRi": "less", "CHAIRs of all": "less", "Recall": "more"}
NO_JUDGE = "No judge extracted the objects, the words of the answers did: not comparable with published figures."


@config
class ObjectHalBench:
    """The folder with the questions (*halbench*.jsonl), synonyms_refine.txt and COCO's annotations.

    judge: what extracts the objects of an answer; figures of different judges are not comparable. Without one, the words of the answers
    are looked up. prompt: a text file with the places {question} and {answer}, or the official eval_gpt_obj_halbench.py; by default a
    text of our own. tagger: reads what the judge named. tokens, lemmas: read captions, and answers where there is no judge.
    """

    judge: Judge | None = None
    prompt: Path | None = None
    tagger: Tagger = SpacyTagger()
    tokens: Tokeniser = NltkTokens()
    lemmas: Lemmatiser = WordNetLemmas()

    answers = AnswerFormat(answer=("answer", "text"), id=("image_id",), question=("question", "prompt"))

    def questions(self, data: Path) -> Sequence[Question]:
        """The questions in the file's order, with what COCO says of their images."""
        images = annotated(data, frozenset(_object_words(data).nodes))
        file = _question_file(data)
        return [_question(row, images, f"row {number} of {file}") for number, row in enumerate(read_rows(file), start=1)]

    def scorer(self, data: Path, parts: Collection[str]) -> "ObjectHalBenchScorer":
        tokens, lemmas = self.tokens.load(), self.lemmas.load()
        captions = CaptionRoutine(_object_words(data), tokens.function, lemmas.function)
        tools = {**tokens.tools, **lemmas.tools}
        if self.judge is None:
            return ObjectHalBenchScorer(captions, None, {"judge": "none", **tools})
        text = prompt(self.prompt, ours="object_halbench", fields=PLACES)
        tagger, judge = self.tagger.load(), self.judge.load()
        extraction = Extraction(captions.objects, judge.ask, text, tagger.function)
        tools = {**judge.tools, "judge's prompt": text.name, **tagger.tools, **tools}
        return ObjectHalBenchScorer(captions, extraction, tools, judge.at_once)

    def report(self, items: Sequence[Item]) -> Report:
        readings = [item.reading for item in items]
        sums = Sums.of(readings)
        figures = {
            "CHAIRs": percent(sums.with_hallucination, sums.with_object),
            "CHAIRi": percent(sums.hallucinated, sums.mentions),
            "CHAIRs of all": percent(sums.with_hallucination, sums.responses),
            "Recall": percent(sums.found, sums.present),
            "Length": sum(reading["length"] for reading in readings) / len(readings),
        }
        counts = {"responses with an object": sums.with_object, "objects": sums.mentions, **answering_models(readings)}
        notes = (NO_JUDGE,) if self.judge is None else remarks(self.prompt)
        return Report({"Object HalBench": figures}, decimals=2, better=BETTER, counts=counts, remarks=notes)


@dataclass(frozen=True)
class CaptionRoutine:
    """Looks up the words of a text: lower-case lemmas, pairs joined, repeats kept."""

    objects: ObjectWords
    tokens: Split
    lemma: Lemma

    def words(self, text: str) -> list[str]:
        return self.objects.joined([self.lemma(token) for token in self.tokens(text.lower())])


@dataclass(frozen=True)
class ObjectHalBenchScorer:
    """Objects of answers, extracted by a judge or looked up, against those of COCO's instances and captions."""

    captions: CaptionRoutine
    extraction: Extraction | None
    tools: Mapping[str, str]
    at_once: int = 1

    def read(self, question: Question, answer: str) -> Reading:
        objects = self.captions.objects
        response = answer.replace("Assistant:", "").strip()
        judged: dict[str, Any] = {}
        if self.extraction is None:
            words = self.captions.words(response)
        else:
            names, model = self.extraction.named(question.text, response)
            words = self.extraction.words(names)
            judged = {"named": names, "judge": model}
        present = question.truth.objects(objects, self.captions.words)
        return {**compared(objects.mentions(words), present), **judged, "length": len(response.split(" "))}


def _object_words(data: Path) -> ObjectWords:
    nodes = read_synonyms(data / "synonyms_refine.txt", stripped=True)
    pairs = [word for word in nodes if " " in word] + list(EXTRA_PAIRS)
    return ObjectWords(nodes, {pair: pair for pair in pairs} | RENAMED)


def _question_file(data: Path) -> Path:
    found = sorted(data.glob("*halbench*.jsonl"))
    if len(found) != 1:
        raise UserError(
            f"{data} holds {'several question files' if found else 'no question file'} of Object HalBench",
            expected="obj_halbench_300_with_image.jsonl",
            got=", ".join(path.name for path in found) or "none",
        )
    return found[0]


def _question(row: dict[str, Any] | str, images: Mapping[int, Annotated], where: str) -> Question:
    if isinstance(row, str):
        raise UserError(f"{where} {row}", fix="get the file again from the benchmark's authors")
    try:
        id, text = int(row["image_id"]), row["question"]
        encoded = base64.b64decode(row["image"], validate=True) if row.get("image") else None
    except (KeyError, TypeError, ValueError) as error:
        raise UserError(
            f"{where} is no question of Object HalBench: {error!r}", expected="image_id, question, and image in base64"
        ) from None
    if id not in images:
        raise UserError(f"{where} is about the image {id}, which COCO's annotations here lack", fix="add those of train2014 and val2014")
    return Question(id, text, encoded or images[id].file_name, "object_halbench", images[id])
