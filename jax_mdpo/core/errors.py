"""Errors that a user can cause. Each says what is wrong, what was expected, what was found and what to do."""

import difflib
from collections.abc import Iterable
from typing import Any

MOST_NAMED = 40  # names in a message: a table's are all told, a data set's are not


class UserError(Exception):
    """A mistake in input, configuration or files; the command line prints it without a traceback.

    what: the fact, naming the file, key or record. expected, got, fix: shown on lines of their own where given.
    """

    def __init__(self, what: str, *, expected: str | None = None, got: str | None = None, fix: str | None = None):
        parts = [("expected", expected), ("got", got), ("to fix", fix)]
        super().__init__("\n".join([what, *(f"  {label}: {text}" for label, text in parts if text is not None)]))
        self._fields = (what, expected, got, fix)

    def __reduce__(self) -> tuple[Any, ...]:  # a process pool hands errors on, and hangs on one that it cannot make again
        what, expected, got, fix = self._fields
        return _rebuild, (type(self), what, expected, got, fix)


def _rebuild(kind: type[UserError], what: str, expected: str | None, got: str | None, fix: str | None) -> UserError:
    error = kind.__new__(kind)
    UserError.__init__(error, what, expected=expected, got=got, fix=fix)
    return error


class ConfigError(UserError):
    """A configuration key or value is wrong, or two values contradict each other."""


class RecordError(UserError):
    """One record of a data set cannot be used; `what` names the record."""


class WeightsError(UserError):
    """A checkpoint or adapter does not match the model that is to hold it."""


class RunError(UserError):
    """A run directory, or a training checkpoint in one, cannot be used as asked."""


def nearest(name: str, choices: Iterable[str]) -> str:
    """A sentence for an error about an unknown `name`: the closest of `choices`, or where none is close all of them, but not hundreds."""
    known = sorted(choices)
    close = difflib.get_close_matches(name, known, n=1)
    if close:
        return f"did you mean {close[0]!r}?"
    more = f", … and {len(known) - MOST_NAMED} more" if len(known) > MOST_NAMED else ""
    return f"choose one of: {', '.join(known[:MOST_NAMED])}{more}"
