"""From a data file to records, and to faults where a row is none."""

import itertools
import logging
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

from jax_mdpo.core.errors import RecordError, UserError, nearest
from jax_mdpo.core.records import Record
from jax_mdpo.data.paths import ImageRoot
from jax_mdpo.data.readers import AUTO, FORMATS, Format
from jax_mdpo.data.readers.fields import make_record, record_id
from jax_mdpo.data.readers.format import Row
from jax_mdpo.data.readers.rows import RowOrFault, read_rows

log = logging.getLogger(__name__)


class Fault(NamedTuple):
    """A row that is no usable record."""

    id: str | int
    error: RecordError


def read_records(
    path: Path, *, format: str = AUTO, columns: Mapping[str, str] | None = None, images: Path | None = None
) -> Iterator[Record | Fault]:
    """The records of a file, each with an id of its own, in order; see data/settings.py for the arguments.

    Raises UserError where the file as a whole cannot be read: missing, without rows, or without the columns of its format.
    """
    columns = columns or {}
    root = ImageRoot(images if images is not None else path if path.is_dir() else path.parent)
    rows = enumerate(read_rows(path))
    head = list(itertools.islice(rows, 0, 256))
    first = next((row for _, row in head if isinstance(row, dict)), None)
    if first is None:
        raise UserError(f"{path} holds no readable row", got=str(head[0][1]) if head else "no rows", fix="check data.path")
    _check_columns(first, columns, path)
    kind = _find_format(format, _rename(first, columns), path)
    seen: dict[str, int] = {}
    for number, row in itertools.chain(head, rows):
        yield _read_row(row, number, kind, columns, root, path, seen)


def _read_row(
    row: RowOrFault, number: int, kind: Format, columns: Mapping[str, str], root: ImageRoot, path: Path, seen: dict[str, int]
) -> Record | Fault:
    id: str | int = number
    name = f"row {number} of {path.name}"
    try:
        if isinstance(row, str):
            raise RecordError(f"{name} {row}", fix="repair the row or leave it out")
        ours = kind.renamed(_rename(row, columns))
        id = record_id(ours, number, name)
        name = f"record {id!r} ({name})"
        first = seen.setdefault(str(id), number)
        if first != number:
            raise RecordError(
                f"{name}: has the id of row {first}", expected="ids that differ", fix="rename one, or map another column to id"
            )
        return make_record(kind.fields(ours, name), id=id, name=name, root=root)
    except RecordError as error:
        return Fault(id, error)


def _rename(row: Row, columns: Mapping[str, str]) -> Row:
    return {**row, **{ours: row.get(theirs) for ours, theirs in columns.items()}}


def _check_columns(first: Row, columns: Mapping[str, str], path: Path) -> None:
    for ours, theirs in columns.items():
        if theirs not in first:
            raise UserError(f"{path} has no column {theirs!r}, which data.columns maps to {ours!r}", fix=nearest(theirs, first))


def _find_format(format: str, first: Row, path: Path) -> Format:
    if format == AUTO:
        kind = next((known for known in FORMATS.values() if known.fits(first)), None)
        missing = [name for name in FORMATS["generic"].required if name not in first]
    else:
        kind = FORMATS[format]
        missing = [name for name in kind.required if name not in first]
        kind = None if missing else kind
    if kind is None:
        raise UserError(
            f"{path} is in no known format" if format == AUTO else f"{path} is not of the format {format!r}",
            expected=f"columns {', '.join(missing)}",
            got=f"columns {', '.join(map(str, first))}",
            fix=f"map your names in data.columns, for example {missing[0]!r}: {nearest(missing[0], map(str, first))}",
        )
    if not any(name in first for name in ("image", *kind.columns.get("image", ()))):
        log.warning("%s has no image column (columns: %s): its records are read as text only", path, ", ".join(map(str, first)))
    return kind
