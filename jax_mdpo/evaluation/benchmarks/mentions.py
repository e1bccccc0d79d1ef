"""Mentions of objects against the objects that are there: what one response amounts to, and the sums of many."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

from jax_mdpo.evaluation.benchmarks.coco_words import Mention
from jax_mdpo.evaluation.benchmarks.protocol import Reading


def compared(mentions: Sequence[Mention], present: Collection[str]) -> Reading:
    """A response's mentions, as (word, node) pairs, of objects that are not in the image and of those that are; and what is `present`."""
    return {
        "hallucinated": [list(mention) for mention in mentions if mention.node not in present],
        "correct": [list(mention) for mention in mentions if mention.node in present],
        "present": sorted(present),
    }


@dataclass(frozen=True)
class Sums:
    """Counts over responses. found: nodes that a response rightly mentions, each once. present: nodes that are in its image."""

    responses: int
    with_object: int
    with_hallucination: int
    mentions: int
    hallucinated: int
    found: int
    present: int

    @classmethod
    def of(cls, readings: Iterable[Reading]) -> "Sums":
        """The sums of what `compared` gave for each response."""
        rows = list(readings)
        return cls(
            responses=len(rows),
            with_object=sum(bool(row["hallucinated"] or row["correct"]) for row in rows),
            with_hallucination=sum(bool(row["hallucinated"]) for row in rows),
            mentions=sum(len(row["hallucinated"]) + len(row["correct"]) for row in rows),
            hallucinated=sum(len(row["hallucinated"]) for row in rows),
            found=sum(len({node for _, node in row["correct"]}) for row in rows),
            present=sum(len(row["present"]) for row in rows),
        )


def percent(part: int, whole: int) -> float:
    """100 · part / whole; 0 where there is nothing to divide by (the official tools stop with an error there)."""
    return 100 * part / whole if whole else 0.0
