"""Captions of the world's evaluation scenes: CHAIR's figures, and those that its figures must not be read without."""

import operator
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import reduce
from pathlib import Path, PurePosixPath

from jax_mdpo.core.config import config
from jax_mdpo.evaluation.benchmarks.caption_words import Tokeniser, Words
from jax_mdpo.evaluation.benchmarks.chair import Chair
from jax_mdpo.evaluation.benchmarks.mentions import Sums, percent
from jax_mdpo.evaluation.benchmarks.protocol import AnswerFormat, Better, Figure, Item, Question, Reading, Report, Scorer, Terms, added
from jax_mdpo.scenes.wording import DESCRIBE, named_in

ALL = "all"
BETTER: Mapping[str, Better] = {"CHAIRs": "less", "CHAIRi": "less", "Coverage": "more", "Object F1": "more", "Malformed": "less"}


@config
class SceneCaptions:
    """CHAIR rewards silence and garbage; how much of a scene is named, and how many captions are none, stands beside it.

    Objects are found in a caption as CHAIR finds them. The parts are the folders of the images, "kept" and "broken"; where both are
    scored, a row of all captions follows. tokens: what splits captions into words. prompt: what a model is asked.
    """

    tokens: Tokeniser = Words()
    prompt: str = DESCRIBE

    answers = AnswerFormat(answer=("caption", "text", "answer"), id=("image_id",), question=())

    @property
    def chair(self) -> Chair:
        """What reads the objects."""
        return Chair(tokens=self.tokens, prompt=self.prompt)

    def questions(self, data: Path) -> Sequence[Question]:
        """One for each image of the annotation files in `data`."""
        return [replace(one, part=PurePosixPath(str(one.image)).parent.name) for one in self.chair.questions(data)]

    def scorer(self, data: Path, parts: Collection[str]) -> "SceneScorer":
        return SceneScorer(self.chair.scorer(data, parts))

    def report(self, items: Sequence[Item]) -> Report:
        return self.total(added(items, self.terms))

    def terms(self, item: Item) -> Terms:
        """(part, what is counted): how many; see `counts`."""
        return {(item.question.part, name): count for name, count in counts(item.reading).items()}

    def total(self, sums: Terms) -> Report:
        parts: dict[str, Counter[str]] = {}
        for (part, name), count in sums.items():
            parts.setdefault(part, Counter())[name] = int(count)
        there = {part: parts[part] for part in sorted(parts) if parts[part]["responses"]}
        if len(there) > 1:
            there[ALL] = reduce(operator.add, there.values())
        return Report({part: figures(of) for part, of in there.items()}, decimals=1, better=BETTER)


@dataclass(frozen=True)
class SceneScorer:
    """CHAIR's reading of a caption, and of its form."""

    chair: Scorer

    @property
    def tools(self) -> Mapping[str, str]:
        return self.chair.tools

    @property
    def at_once(self) -> int:
        return self.chair.at_once

    def read(self, question: Question, answer: str) -> Reading:
        """malformed: whether the world's captions are never worded so. words: how many stand between spaces."""
        return {**self.chair.read(question, answer), "malformed": named_in(answer) is None, "words": len(answer.split())}


def counts(reading: Reading) -> dict[str, int]:
    """Of one caption: itself, what CHAIR counts, objects that it invents and rightly names, each once, and its words."""
    sums = Sums.of([reading])
    invented = len({node for _, node in reading["hallucinated"]})
    return {**asdict(sums), "invented": invented, "malformed": int(reading["malformed"]), "words": reading["words"]}


def figures(sums: Mapping[str, int]) -> dict[str, Figure]:
    """Of summed `counts`, in per cent, but for Length, which is words per caption.

    CHAIRs, CHAIRi: as CHAIR's. Coverage: CHAIR's recall. Object F1: 2 · tp / (2 · tp + fp + fn) over all captions, every object once in
    a caption. Malformed: captions that are worded as none of the world's are.
    """
    return {
        "CHAIRs": percent(sums["with_hallucination"], sums["responses"]),
        "CHAIRi": percent(sums["hallucinated"], sums["mentions"]),
        "Coverage": percent(sums["found"], sums["present"]),
        "Object F1": percent(2 * sums["found"], sums["found"] + sums["invented"] + sums["present"]),
        "Malformed": percent(sums["malformed"], sums["responses"]),
        "Length": sums["words"] / sums["responses"],
    }
