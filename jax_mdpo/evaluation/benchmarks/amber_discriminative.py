"""AMBER's discriminative task: yes/no questions about existence, attributes and relations, where No is the positive answer."""

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Literal

from jax_mdpo.evaluation.benchmarks.amber_generative import START
from jax_mdpo.evaluation.benchmarks.protocol import Reading

YesNo = Literal["exact", "first_word"]
NEITHER = "neither"

KINDS = {  # an annotation's type → the row of the official output that it counts for
    "discriminative-hallucination": "Existence",
    "discriminative-attribute-state": "State",
    "discriminative-attribute-number": "Number",
    "discriminative-attribute-action": "Action",
    "discriminative-relation": "Relation",
    "relation": "Relation",
}
PARTS = {  # a row → the part of its questions, as the query files are called
    "Existence": "discriminative-existence",
    "State": "discriminative-attribute",
    "Number": "discriminative-attribute",
    "Action": "discriminative-attribute",
    "Relation": "discriminative-relation",
}


@dataclass(frozen=True)
class Row:
    """A row of the official output. counters: how many of the tool's counters it adds up. epsilon: in its F1's denominator."""

    name: str
    kinds: Sequence[str]
    counters: int = 1
    epsilon: float = 0.0001


OVERALL = Row("Discriminative", tuple(PARTS))
ROWS = (
    OVERALL,
    Row("Existence", ("Existence",), epsilon=0.001),
    Row("Attribute", ("State", "Number", "Action"), counters=3),
    Row("State", ("State",)),
    Row("Number", ("Number",)),
    Row("Action", ("Action",)),
    Row("Relation", ("Relation",)),
)


def said(answer: str, rule: YesNo) -> str:
    """Yes, No or neither; see Amber for the rules."""
    if rule == "first_word":
        first = re.search(r"\w+", answer)
        answer = first.group().capitalize() if first else ""
    return answer if answer in ("Yes", "No") else NEITHER


def read(kind: str, truth: str, answer: str, rule: YesNo) -> Reading:
    """What an answer says to a question of this kind whose truth is "yes" or "no"."""
    found = said(answer, rule)
    return {"kind": kind, "truth": truth, "said": found, "correct": found.lower() == truth}


def rows(readings: Sequence[Reading], parts: Collection[str]) -> dict[str, dict[str, float]]:
    """The figures of every row all of whose questions are in `parts`."""
    return {
        row.name: figures([reading for reading in readings if reading["kind"] in row.kinds], row)
        for row in ROWS
        if {PARTS[kind] for kind in row.kinds} <= set(parts)
    }


def figures(readings: Sequence[Reading], row: Row) -> dict[str, float]:
    """Accuracy, Precision, Recall and F1 in percent; F1 is that of precision and recall as they are printed, to one decimal."""
    start = row.counters * START
    denied = [reading for reading in readings if reading["said"] == "No"]
    untrue = [reading for reading in readings if reading["truth"] == "no"]
    right = sum(reading["correct"] for reading in denied)
    accuracy = sum(reading["correct"] for reading in readings) / (start + len(readings)) * 100
    precision, recall = right / (start + len(denied)) * 100, right / (start + len(untrue)) * 100
    p, r = round(precision, 1) / 100, round(recall, 1) / 100
    return {"Accuracy": accuracy, "Precision": precision, "Recall": recall, "F1": 2 * p * r / (p + r + row.epsilon) * 100}
