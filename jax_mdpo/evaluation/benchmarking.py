"""Any benchmark's answers become its figures."""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from jax_mdpo.evaluation.answers.faults import Faults
from jax_mdpo.evaluation.benchmarks.protocol import Benchmark, Item, ItemError, Question, Report, Scorer

Answered = tuple[Question, str]


@dataclass(frozen=True)
class Scored:
    """items: every answer with what was read in it, in the questions' order. tools: what read them, with versions."""

    items: tuple[Item, ...]
    report: Report
    tools: dict[str, str]


def score_answers(
    benchmark: Benchmark, scorer: Scorer, answered: Sequence[Answered], faults: Faults, *, advance: Callable[[], object] = lambda: None
) -> Scored | None:
    """Reads every answer and adds up what was read; None where not one could be read.

    scorer: the benchmark's, made for the parts that are answered. faults: gets the items that cannot be read, which the figures then
    leave out. advance: called after each item.
    """
    items = []
    for read in _readings(scorer, answered):
        if isinstance(read, Item):
            items.append(read)
        else:
            faults.add("unreadable item", read)
        advance()
    return Scored(tuple(items), benchmark.report(items), dict(scorer.tools)) if items else None


def _readings(scorer: Scorer, answered: Sequence[Answered]) -> Iterator[Item | str]:
    def read(pair: Answered) -> Item | str:
        question, answer = pair
        try:
            return Item(question, answer, scorer.read(question, answer))
        except ItemError as error:
            return f"{question.part} {question.id}: {error}"

    if scorer.at_once == 1:
        yield from map(read, answered)
        return
    with ThreadPoolExecutor(scorer.at_once) as pool:
        try:
            yield from pool.map(read, answered)
        finally:
            pool.shutdown(cancel_futures=True)  # after Ctrl-C no further question goes to the judge
