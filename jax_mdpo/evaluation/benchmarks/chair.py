"""CHAIR (arXiv 1809.02156): how many objects that a caption mentions are not in the image. Official tool: LisaAnne/Hallucination."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from jax_mdpo.core.config import config
from jax_mdpo.evaluation.benchmarks.caption_words import NltkTokens, Split, Tokeniser
from jax_mdpo.evaluation.benchmarks.coco_annotations import annotated
from jax_mdpo.evaluation.benchmarks.coco_words import RENAMED, ObjectWords, read_synonyms
from jax_mdpo.evaluation.benchmarks.mentions import Sums, compared, percent
from jax_mdpo.evaluation.benchmarks.protocol import AnswerFormat, Better, Item, Question, Reading, Report
from jax_mdpo.evaluation.benchmarks.singular import singular

PAIRS = (  # the tool's three-word "stove top oven" is left out: it looks at two words at a time
    "motor bike",
    "motor cycle",
    "air plane",
    "traffic light",
    "street light",
    "traffic signal",
    "stop light",
    "fire hydrant",
    "stop sign",
    "parking meter",
    "suit case",
    "sports ball",
    "baseball bat",
    "baseball glove",
    "tennis racket",
    "wine glass",
    "hot dog",
    "cell phone",
    "mobile phone",
    "teddy bear",
    "hair drier",
    "potted plant",
    "laptop computer",
    "home plate",
    "train track",
)
BETTER: Mapping[str, Better] = {"CHAIRs": "less", "CHAIRi": "less", "Recall": "more"}


@config
class Chair:
    """The captions' objects against COCO's instances and reference captions.

    tokens: what splits captions into words. prompt: what a model is asked; the official tool scores captions of any origin.
    """

    tokens: Tokeniser = NltkTokens()
    prompt: str = "Please describe this image in detail."

    answers = AnswerFormat(answer=("caption", "text", "answer"), id=("image_id",), question=(), any_subset=True, holder="imgToEval")

    def questions(self, data: Path) -> Sequence[Question]:
        """One for each image of the annotation files in `data`."""
        nodes = frozenset(_object_words(data).nodes)
        return [Question(id, self.prompt, image.file_name, "chair", image) for id, image in sorted(annotated(data, nodes).items())]

    def scorer(self, data: Path, parts: Collection[str]) -> "ChairScorer":
        tokens = self.tokens.load()
        return ChairScorer(_object_words(data), tokens.function, {**tokens.tools, "singulars": "our own, by pattern's rules"})

    def report(self, items: Sequence[Item]) -> Report:
        sums = Sums.of(item.reading for item in items)
        figures = {
            "CHAIRs": percent(sums.with_hallucination, sums.responses),
            "CHAIRi": percent(sums.hallucinated, sums.mentions),
            "Recall": percent(sums.found, sums.present),
        }
        return Report({"CHAIR": figures}, decimals=1, better=BETTER, counts={"mentions of objects": sums.mentions})


@dataclass(frozen=True)
class ChairScorer:
    """objects: the words that count. tokens: a lower-case text → its words."""

    objects: ObjectWords
    tokens: Split
    tools: Mapping[str, str]
    at_once: int = 1

    def words(self, caption: str) -> list[str]:
        """The caption's words as they are looked up: lower-case, singular, pairs joined."""
        return self.objects.joined([singular(token) for token in self.tokens(caption.lower())])

    def read(self, question: Question, answer: str) -> Reading:
        return compared(self.objects.mentions(self.words(answer)), question.truth.objects(self.objects, self.words))


def _object_words(data: Path) -> ObjectWords:
    return ObjectWords(read_synonyms(data / "synonyms.txt", stripped=False), {pair: pair for pair in PAIRS} | RENAMED)
