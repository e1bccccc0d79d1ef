"""Which questions an answer file answers, where its rows do not say it by themselves."""

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence

from jax_mdpo.core.errors import UserError, nearest
from jax_mdpo.evaluation.answers.faults import AnswersError
from jax_mdpo.evaluation.answers.reading import Answer, AnswerFile
from jax_mdpo.evaluation.benchmarks.protocol import Question


def wanted_parts(parts: Sequence[str], only: Collection[str]) -> set[str]:
    """Those of `parts` that `only` names: "a" names "a" and every "a-b". All of them where it names none."""
    unknown = [name for name in only if not any(_belongs(part, name) for part in parts)]
    if unknown:
        raise UserError(f"there is no part {unknown[0]!r}", fix=nearest(unknown[0], parts))
    return {part for part in parts if not only or any(_belongs(part, name) for name in only)}


def _belongs(part: str, name: str) -> bool:
    return part == name or part.startswith(f"{name}-")


def part_of(file: AnswerFile, parts: Mapping[str, Sequence[Question]]) -> str:
    """The part that a file answers whose ids stand in several: the one with the same questions, or else the one in the file's name."""
    agreeing = [part for part, questions in parts.items() if _all_agree(file, {str(question.id): question for question in questions})]
    candidates = agreeing or list(parts)
    named = [part for part in candidates if part in file.path.stem]
    chosen = candidates if len(candidates) == 1 else named
    if len(chosen) != 1:
        raise AnswersError(
            f"{file.path} does not say which part it answers, and its ids stand in several",
            expected=f"one of {', '.join(parts)} in each row or in the file's name, or the text of the questions",
            fix=f"name the file, for example, answers_{next(iter(parts))}.jsonl",
        )
    return chosen[0]


def _all_agree(file: AnswerFile, questions: Mapping[str | None, Question]) -> bool:
    told = [row for row in file.rows if row.id is not None and row.question is not None]
    return bool(told) and all(row.id in questions and agrees(row, questions[row.id]) for row in told)


def in_order(file: AnswerFile, questions: Sequence[Question]) -> Sequence[Question]:
    """The questions that a file without ids answers, one for each row: a part's, or all of them."""
    parts = by_part(questions)
    orders = {**parts, "all": questions} if len(parts) > 1 else dict(parts)
    fitting = {name: order for name, order in orders.items() if len(order) == len(file.rows)}
    if not fitting:
        counts = ", ".join(f"{len(order)} ({name})" for name, order in orders.items())
        raise AnswersError(f"{file.path} has no ids, and its count fits no part", expected=counts, got=f"{len(file.rows)} answers")
    silent = next((row for row in file.rows if row.question is None and row.fault is None), None)
    if silent is not None:
        raise AnswersError(
            f"{file.path} has no ids and does not repeat the questions, so it cannot be told what it answers",
            got=f"{silent.where} without either",
            fix="add the id, or the text, of the question to each row",
        )
    different = {name: _first_difference(file, order) for name, order in fitting.items()}
    agreeing = [name for name, difference in different.items() if difference is None]
    if len(agreeing) != 1:
        details = "; ".join(f"{name}: {difference}" for name, difference in different.items() if difference)
        raise AnswersError(
            f"the order of {file.path} is that of {'several parts' if agreeing else 'no part'}",
            expected="the questions of one part, in official order",
            got=details or " and ".join(agreeing),
            fix="add the id of the question to each row",
        )
    return orders[agreeing[0]]


def _first_difference(file: AnswerFile, questions: Sequence[Question]) -> str | None:
    for row, question in zip(file.rows, questions, strict=True):
        if not agrees(row, question):
            return f"{row.where} answers {row.question!r} where {question.text!r} is asked"
    return None


def agrees(answer: Answer, question: Question) -> bool:
    """Whether an answer repeats its question, if any; the prompt around it, and its case, may be the model's own."""
    return answer.question is None or _folded(question.text) in _folded(answer.question)


def _folded(text: str) -> str:
    return " ".join(text.casefold().split())


def by_part(questions: Sequence[Question]) -> dict[str, list[Question]]:
    parts: dict[str, list[Question]] = defaultdict(list)
    for question in questions:
        parts[question.part].append(question)
    return dict(parts)
