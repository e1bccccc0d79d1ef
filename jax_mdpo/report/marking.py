"""Where an answer says what it should not have: hallucinated words found again in its text."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

IRREGULAR = {"person": "people", "child": "children", "man": "men", "woman": "women", "mouse": "mice", "foot": "feet", "goose": "geese"}


@dataclass(frozen=True)
class Piece:
    """A stretch of an answer. marked: it is one of the words."""

    text: str
    marked: bool = False


def pieces(answer: str, words: Iterable[str]) -> list[Piece]:
    """The answer cut where `words` stand in it. They are lemmas: any case and plurals of theirs count, and any space between two words."""
    pattern = _pattern(list(words))
    if pattern is None:
        return [Piece(answer)]
    found, end = [], 0
    for match in pattern.finditer(answer):
        found += [Piece(answer[end : match.start()]), Piece(match.group(), marked=True)]
        end = match.end()
    return [piece for piece in (*found, Piece(answer[end:])) if piece.text]


def _pattern(words: Sequence[str]) -> re.Pattern[str] | None:
    longest_first = sorted({word.strip() for word in words if word.strip()}, key=len, reverse=True)
    if not longest_first:
        return None
    return re.compile(r"(?<!\w)(?:" + "|".join(map(_forms, longest_first)) + r")(?!\w)", re.IGNORECASE)


def _forms(word: str) -> str:
    """A word, and the plurals of its last part."""
    *before, last = word.split()
    plurals = [re.escape(last) + "(?:e?s)?"]
    if last.endswith("y"):
        plurals.append(re.escape(last[:-1]) + "ies")
    if last.endswith("f") or last.endswith("fe"):
        plurals.append(re.escape(last.rstrip("e")[:-1]) + "ves")
    plurals += [re.escape(plural) for one, plural in IRREGULAR.items() if last.lower() == one]
    return r"[\s-]+".join([*map(re.escape, before), f"(?:{'|'.join(plurals)})"])
