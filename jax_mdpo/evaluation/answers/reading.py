"""Answer files, of any model: what was answered, under the names that a benchmark's official format uses."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from jax_mdpo.core.errors import UserError
from jax_mdpo.data.readers.rows import RowOrFault, read_rows
from jax_mdpo.evaluation.benchmarks.protocol import AnswerFormat


@dataclass(frozen=True)
class Answer:
    """One row of an answer file. where: its name in messages. fault: why it cannot be scored; `text` is then empty."""

    where: str
    text: str = ""
    id: str | None = None
    question: str | None = None
    part: str | None = None
    fault: str | None = None


@dataclass(frozen=True)
class AnswerFile:
    """The answers of a file in its order; faulty rows keep their place, so that an order that questions follow is not shifted."""

    path: Path
    rows: tuple[Answer, ...]

    @property
    def has_ids(self) -> bool:
        """Whether the file joins its answers by id: then a row without one is malformed."""
        return any(row.id is not None for row in self.rows)


def read_answers(path: Path, format: AnswerFormat) -> AnswerFile:
    """The answers of a JSON or JSON-lines file. Raises UserError where the file as a whole is none."""
    if not path.is_file():
        raise UserError(f"there is no answer file {path}", fix="check --answers")
    rows = _held(path, format.holder) or list(read_rows(path))
    if not rows:
        raise UserError(f"{path} holds no answers", expected=f"one JSON object for each, with {_names(format.answer)}")
    return AnswerFile(path, tuple(_answer(row, f"row {number} of {path.name}", format) for number, row in enumerate(rows, start=1)))


def _held(path: Path, holder: str | None) -> list[RowOrFault]:
    """The rows that a file keeps under `holder`; none where it is no such file."""
    if holder is None:
        return []
    try:
        rows = json.loads(path.read_bytes())[holder].values()
    except (ValueError, KeyError, TypeError, AttributeError):
        return []
    return [row if isinstance(row, dict) else f"is a JSON {type(row).__name__}, not an object" for row in rows]


def _answer(row: RowOrFault, where: str, format: AnswerFormat) -> Answer:
    if isinstance(row, str):
        return Answer(where, fault=row)
    id = _first(row, format.id)
    if isinstance(id, bool) or not isinstance(id, int | str | None):
        return Answer(where, fault=f"has an id that is neither a number nor text: {id!r}")
    known = Answer(where, "", None if id is None else str(id), _text(_first(row, format.question)), _text(_first(row, format.part)))
    text = _first(row, format.answer)
    if not isinstance(text, str):
        return replace(known, fault=f"has no text under {_names(format.answer)}" + ("" if text is None else f" but {text!r:.40}"))
    return replace(known, text=text)


def _first(row: Mapping[str, Any], names: Sequence[str]) -> Any:
    return next((row[name] for name in names if row.get(name) is not None), None)


def _text(value: Any) -> str | None:
    return None if value is None else str(value)


def _names(names: Sequence[str]) -> str:
    return " or ".join(repr(name) for name in names)
