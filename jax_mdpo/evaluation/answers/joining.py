"""Answers meet their questions: by id, or by order where the official format has no ids; what does not fit is counted and named."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass

from jax_mdpo.evaluation.answers.faults import AnswersError, Faults
from jax_mdpo.evaluation.answers.parts import agrees, by_part, in_order, part_of, wanted_parts
from jax_mdpo.evaluation.answers.reading import Answer, AnswerFile
from jax_mdpo.evaluation.benchmarks.protocol import AnswerFormat, Question

Pair = tuple[Question, Answer]
Key = tuple[str, str]  # the part and the id of a question


@dataclass(frozen=True)
class Joined:
    """answered: the questions that have one sound answer, in the questions' order. absent: the parts without any, or not wanted."""

    answered: tuple[tuple[Question, str], ...]
    absent: tuple[str, ...]
    faults: Faults


def join(questions: Sequence[Question], files: Iterable[AnswerFile], format: AnswerFormat, *, only: Collection[str] = ()) -> Joined:
    """Each question with its answer. Raises AnswersError where it cannot be told which questions a file answers.

    only: the parts that are wanted, "a" standing for every "a-b" too; by default all of them.
    """
    wanted = wanted_parts(list(by_part(questions)), only)
    faults = Faults()
    given: dict[Key, list[Answer]] = defaultdict(list)
    for file in files:
        for question, answer in _pairs(file, questions, format, faults):
            given[_key(question)].append(answer)
    covered = {part for part, _ in given} & wanted
    answered = []
    for question in questions:
        if question.part not in wanted:
            continue
        rows = given.get(_key(question), [])
        if len(rows) == 1:
            answered.append((question, rows[0].text))
        elif rows:
            faults.add("id with several answers", f"{_name(question)} ({', '.join(row.where for row in rows)})")
        elif question.part in covered and not format.any_subset:
            faults.add("question without an answer", _name(question))
    absent = tuple(part for part in by_part(questions) if part not in covered)
    return Joined(tuple(answered), absent, faults)


def _pairs(file: AnswerFile, questions: Sequence[Question], format: AnswerFormat, faults: Faults) -> Iterator[Pair]:
    if file.has_ids:
        pairs = _by_id(file, questions, faults)
    elif format.by_order:
        pairs = iter(zip(in_order(file, questions), file.rows, strict=True))
    else:
        raise AnswersError(f"{file.path} carries no ids", expected=f"{format.id[0]!r} in each row", got=_first_fault(file))
    for question, answer in pairs:
        if answer.fault is not None:
            faults.add("malformed answer", f"{answer.where} {answer.fault}")
        elif not agrees(answer, question):
            faults.add("answer to another question", f"{answer.where} answers {answer.question!r}, {_name(question)} is {question.text!r}")
        else:
            yield question, answer


def _first_fault(file: AnswerFile) -> str:
    return next((f"{row.where}, which {row.fault}" for row in file.rows if row.fault), "none in any row")


def _by_id(file: AnswerFile, questions: Sequence[Question], faults: Faults) -> Iterator[Pair]:
    places: dict[str, dict[str, Question]] = defaultdict(dict)  # an id → the questions that have it, by part
    for question in questions:
        places[str(question.id)][question.part] = question
    part = None
    if any(row.id is not None and row.part is None and len(places.get(row.id, ())) > 1 for row in file.rows):
        part = part_of(file, by_part(questions))
    for row in file.rows:
        if row.id is None:
            faults.add("malformed answer", f"{row.where} {row.fault or 'has no id, as others have'}")
            continue
        known = places.get(row.id, {})
        wanted = row.part or part
        if wanted in known:
            yield known[wanted], row
        elif wanted is None and len(known) == 1:
            yield next(iter(known.values())), row
        else:
            faults.add("unknown id", f"{row.id!r} ({row.where}" + (f", in {wanted!r})" if wanted else ")"))


def _key(question: Question) -> Key:
    return question.part, str(question.id)


def _name(question: Question) -> str:
    return f"{question.part} {question.id}"
