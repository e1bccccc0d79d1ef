"""AMBER's discriminative task: yes/no questions about existence, attributes and relations, where No is the positive answer."""

import re
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from operator import itemgetter
from typing import Literal

from jax_mdpo.evaluation.benchmarks.amber_generative import START
from jax_mdpo.evaluation.benchmarks.protocol import Reading

YesNo = Literal["exact", "first_word"]
NEITHER = "neither"
Answers = tuple[str, str, str, bool]  # answers that are alike: kind, truth, what was said, whether it is correct

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
    counts = Counter(map(itemgetter("kind", "truth", "said", "correct"), readings))  # one pass for all rows, for bootstraps
    return {
        row.name: figures({answers: count for answers, count in counts.items() if answers[0] in row.kinds}, row)
        for row in ROWS
        if {PARTS[kind] for kind in row.kinds} <= set(parts)
    }


def figures(counts: Mapping[Answers, int], row: Row) -> dict[str, float]:
    """Accuracy, Precision, Recall and F1 in percent; F1 is that of precision and recall as they are printed, to one decimal."""
    start = row.counters * START
    denied = sum(count for (_, _, said, _), count in counts.items() if said == "No")
    untrue = sum(count for (_, truth, _, _), count in counts.items() if truth == "no")
    correct = sum(count for (*_, correct), count in counts.items() if correct)
    rightly_denied = sum(count for (_, _, said, correct), count in counts.items() if said == "No" and correct)
    accuracy = correct / (start + sum(counts.values())) * 100
    precision, recall = rightly_denied / (start + denied) * 100, rightly_denied / (start + untrue) * 100
    p, r = round(precision, 1) / 100, round(recall, 1) / 100
    return {"Accuracy": accuracy, "Precision": precision, "Recall": recall, "F1": 2 * p * r / (p + r + row.epsilon) * 100}
