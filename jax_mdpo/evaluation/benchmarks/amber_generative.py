"""AMBER's generative task: which nouns of a description are in the image, which are not, and which of those were to be expected."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from jax_mdpo.evaluation.benchmarks.language import Nouns, Similarity
from jax_mdpo.evaluation.benchmarks.protocol import Reading

START = 0.001  # where each counter of the official tool starts, so that it never divides by zero
ALIKE = 0.8  # above this similarity a noun stands for a word

Entry = tuple[str, int]  # a word, and the place in the annotation's list of what it names: its slot


@dataclass(frozen=True)
class Words:
    """related: an object's name → names that are as good (relation.json). safe: nouns that are never held against an answer."""

    related: Mapping[str, Sequence[str]]
    safe: frozenset[str]

    @cached_property
    def known(self) -> frozenset[str]:
        """The nouns that are looked at: all others of an answer are passed over."""
        return frozenset(self.related).union(*self.related.values())

    def entries(self, objects: Sequence[str]) -> list[Entry]:
        """What names one of `objects`, with its slot: the related words of all of them first, then the objects themselves."""
        related = [(word, slot) for slot, name in enumerate(objects) for word in self.related[name]]
        return [*related, *((name, slot) for slot, name in enumerate(objects))]


@dataclass(frozen=True)
class Generative:
    """Reads descriptions with a noun finder and a word similarity."""

    words: Words
    nouns: Nouns
    similarity: Similarity

    def read(self, annotation: Mapping[str, Any], answer: str) -> Reading:
        """The nouns of an answer, those that it hallucinates, and how many of the annotated objects it names."""
        nouns = [noun for noun in self.nouns(answer) if noun in self.words.known]
        truth, expected = self.words.entries(annotation["truth"]), self.words.entries(annotation["hallu"])
        hallucinated: list[str] = []
        covered: set[int | None] = set()
        confused: set[int | None] = set()
        for noun in nouns:
            if noun in self.words.safe:
                continue
            same, alike = self._tests(noun)
            slot = _first(truth, same)
            if slot is None:
                confused |= {_first(expected, same), _first(expected, alike)}  # both, even for a noun that turns out to be fine
                slot = _first(truth, alike)
            covered.add(slot)
            if slot is None:
                hallucinated.append(noun)
        return {
            "nouns": nouns,
            "hallucinated": hallucinated,
            "covered": len(covered - {None}),
            "truth": len(annotation["truth"]),
            "confused": len(confused - {None}),
            "hallu": len(annotation["hallu"]),
        }

    def _tests(self, noun: str) -> tuple[Callable[[str], bool], Callable[[str], bool]]:
        return (lambda word: noun == word), (lambda word: self.similarity(noun, word) > ALIKE)


def _first(entries: Sequence[Entry], test: Callable[[str], bool]) -> int | None:
    return next((slot for word, slot in entries if test(word)), None)


def figures(readings: Sequence[Reading]) -> dict[str, float]:
    """CHAIR, Cover, Hal and Cog in percent, pooled over all answers; Hal counts answers with any hallucinated noun."""

    def percent(part: int, whole: float) -> float:
        return part / whole * 100

    mentions = sum((len(reading["nouns"]) for reading in readings), START)
    clean = sum(not reading["hallucinated"] for reading in readings)
    return {
        "CHAIR": percent(sum(len(reading["hallucinated"]) for reading in readings), mentions),
        "Cover": percent(sum(reading["covered"] for reading in readings), sum((reading["truth"] for reading in readings), START)),
        "Hal": 100 - percent(clean, START + len(readings)),
        "Cog": percent(sum(reading["confused"] for reading in readings), sum((reading["hallu"] for reading in readings), START)),
    }
