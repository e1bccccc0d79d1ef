"""What a benchmark is: questions, what its answer files look like, and a scorer. Everything else is the same for all of them.

An answer is scored in two steps, so that the expensive one can run per item, at once, and be kept: a scorer's `read` says what one answer
amounts to (the nouns it hallucinates, a judge's rating), and the benchmark's `report` adds readings up into the official figures, by
arithmetic alone: nothing is loaded for it, so figures of any sample of kept readings can be computed anew.
"""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Protocol, runtime_checkable

from jax_mdpo.core.errors import UserError

Figure = int | float  # a count, or a rate
Better = Literal["more", "less"]
Terms = Mapping[tuple[str, ...], Figure]  # numbers that are added up over items, by name
Reading = Mapping[str, Any]  # plain JSON values: counts that `report` adds up, and what a reader wants to see of this item


@dataclass(frozen=True)
class Question:
    """One item of a benchmark, as its official files state it.

    id: unique within `part`. image: a file name, or the encoded bytes where the official file holds the image itself.
    part: what is scored or left out as a whole, such as a split; "a-b" belongs to "a". truth: what the scorer compares an answer with.
    """

    id: int | str
    text: str
    image: str | bytes
    part: str
    truth: Any = None


@dataclass(frozen=True)
class Item:
    """A question with the answer that was given and what the scorer read in it."""

    question: Question
    answer: str
    reading: Reading


@dataclass(frozen=True)
class Report:
    """The figures of a benchmark.

    rows: the name of a row → official column name → figure, unrounded; rows with the same columns make one table.
    decimals: to which the official tool, or its paper, gives them. A count is an int and is never rounded.
    better: by column, whether more or less of it is better, where that can be said of the figure by itself.
    counts: what someone must know beside the figures, such as how many answers were neither yes nor no.
    remarks: whatever keeps the figures from being compared with others, in a sentence each.
    """

    rows: Mapping[str, Mapping[str, Figure]]
    decimals: int
    better: Mapping[str, Better] = field(default_factory=dict)
    counts: Mapping[str, int] = field(default_factory=dict)
    remarks: Sequence[str] = ()


@dataclass(frozen=True)
class AnswerFormat:
    """Under which names an answer file carries things; the first is the official one, and the one we write.

    part: where ids repeat between parts. by_order: the official format has no ids, so answers follow the questions' order and repeat
    their text. any_subset: the official tool is run on samples of the questions, so an unanswered one is no fault.
    holder: the official file is one object that keeps the answers in another, by this name.
    """

    answer: tuple[str, ...]
    id: tuple[str, ...]
    question: tuple[str, ...] = ("question",)
    part: tuple[str, ...] = ()
    by_order: bool = False
    any_subset: bool = False
    holder: str | None = None


class ItemError(UserError):
    """One item cannot be read (a judge that does not answer): it is named, and the others go on."""


@runtime_checkable
class Scorer(Protocol):
    """What reads answers, with whatever it needs loaded.

    tools: the names and versions of tagger, lemmatiser, word vectors and judge, as they are to stand beside the figures.
    at_once: how many items are read at the same time, in threads; 1 unless reading waits for something.
    """

    @property
    def tools(self) -> Mapping[str, str]: ...

    @property
    def at_once(self) -> int: ...

    def read(self, question: Question, answer: str) -> Reading:
        """What this answer amounts to. Depends on nothing but its arguments; raises ItemError where it cannot be said."""


@runtime_checkable
class Reporting(Protocol):
    """What adds readings up: all that figures need once the readings exist."""

    def report(self, items: Sequence[Item]) -> Report:
        """The figures of `items`, which hold at least one item of every part that is to be scored, and no other part.

        Reads nothing of an item but its part and its reading; the same item may come several times, as in a bootstrap sample.
        """


@runtime_checkable
class Summing(Reporting, Protocol):
    """One whose figures come from sums over items alone. A bootstrap sample of it is a sum of sums, and costs next to nothing."""

    def terms(self, item: Item) -> Terms:
        """What an item adds, by the name of the sum."""

    def total(self, sums: Terms) -> Report:
        """The figures of items with these sums; a sum that no item has is absent or 0. `report` gives what this makes of `added`."""


def added(items: Iterable[Item], terms: Callable[[Item], Terms]) -> Terms:
    """The sums of the items' terms."""
    sums: dict[tuple[str, ...], Figure] = {}
    for item in items:
        for name, value in terms(item).items():
            sums[name] = sums.get(name, 0) + value
    return sums


@runtime_checkable
class Benchmark(Reporting, Protocol):
    """A @config dataclass of the benchmark's settings, which are named in its output."""

    @property
    def answers(self) -> AnswerFormat: ...

    def questions(self, data: Path) -> Sequence[Question]:
        """The questions of the official folder or file, in official order. Raises UserError where it is not what it should be."""

    def scorer(self, data: Path, parts: Collection[str]) -> Scorer:
        """Loads what scoring `parts` needs, and no more. Raises UserError that says what to install where something is absent."""
