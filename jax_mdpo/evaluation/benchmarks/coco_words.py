"""Which words of a text name one of COCO's 80 objects. CHAIR and Object HalBench share the procedure and differ in their word lists.

A *word* is what the text says ("puppy", "fire hydrant"), its *node* the COCO object that stands for it ("dog", "fire hydrant").
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from jax_mdpo.core.errors import UserError

ANIMALS = ("bird", "cat", "dog", "horse", "sheep", "cow", "elephant", "bear", "zebra", "giraffe", "animal", "cub")
RENAMED = {  # two words that mean a third: what "baby bird" names is a bird, not also a person
    **{f"{age} {animal}": animal for animal in ANIMALS for age in ("baby", "adult")},
    "passenger jet": "jet",
    "passenger train": "train",
    "bow tie": "tie",
    "toilet seat": "toilet",
    "wine glas": "wine glass",  # what the rule of singulars makes of it
}


class Mention(NamedTuple):
    """A word of a text that names an object, and the node it stands for."""

    word: str
    node: str


@dataclass(frozen=True)
class ObjectWords:
    """nodes: word → node. pairs: two words in a row → the word that takes their place."""

    nodes: Mapping[str, str]
    pairs: Mapping[str, str]

    def mentions(self, words: Iterable[str]) -> list[Mention]:
        """The objects that these words name, in order, repeats kept. Where a toilet is named, a seat is its own and no chair."""
        named = list(words)
        if "toilet" in named:
            named = [word for word in named if word != "seat"]
        return [Mention(word, self.nodes[word]) for word in named if word in self.nodes]

    def joined(self, words: Sequence[str], *, pairs_only: bool = False) -> list[str]:
        """`words` with every known pair replaced, greedily from the left; pairs_only leaves out what is part of no pair."""
        found, place = [], 0
        while place < len(words):
            pair = self.pairs.get(" ".join(words[place : place + 2]))
            if pair is not None:
                found.append(pair)
            elif not pairs_only:
                found.append(words[place])
            place += 1 if pair is None else 2
        return found


def read_synonyms(path: Path, *, stripped: bool) -> dict[str, str]:
    """The word → node of a file of COCO's objects: a line for each, its words parted by ", ", the first of them the node.

    Only the line is stripped, as CHAIR's tool does it: a word after two spaces keeps one of them, and never matches. stripped: the words
    too, as Object HalBench's does.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except OSError as error:
        raise UserError(f"the list of COCO's objects cannot be read: {error}", expected=f"the benchmark's own {path.name}") from None
    nodes: dict[str, str] = {}
    for line in lines:
        words = [word.strip() if stripped else word for word in line.strip().split(", ")]
        nodes |= dict.fromkeys(words, words[0])
    if len(set(nodes.values())) < 2:
        raise UserError(f"{path} is no list of synonyms", expected="a line for each object, its words parted by a comma and a space")
    return nodes
