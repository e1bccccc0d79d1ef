"""What a reader of one data format is: a table of column names, and a step from its row to the common fields."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

Row = Mapping[str, Any]

COLUMN_NAMES = ("id", "image", "rejected_image", "prompt", "chosen", "rejected", "contrast")


def as_they_are(row: Row, name: str) -> Row:
    """The step of a format whose columns already are the common fields."""
    return row


@dataclass(frozen=True)
class Format:
    """One data format.

    fits: whether a row, its columns already renamed by the user's map, looks like this format.
    required: columns without which a file cannot be of this format.
    columns: our name → the names it has in this format; our own name always counts too.
    fields: (row under our names, the record's name for errors) → row under our names, for formats that nest or merge columns.
    """

    fits: Callable[[Row], bool]
    required: tuple[str, ...]
    columns: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    fields: Callable[[Row, str], Row] = as_they_are

    def renamed(self, row: Row) -> Row:
        """`row` with the values of this format's columns under our names; the first that is not null counts."""
        found = dict(row)
        for ours, theirs in self.columns.items():
            found[ours] = next((row[name] for name in (ours, *theirs) if row.get(name) is not None), None)
        return found
