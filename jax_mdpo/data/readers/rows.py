"""Rows out of JSON, JSON lines and parquet files, one bad row at a time: what cannot be read is said, and the next row follows."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from jax_mdpo.core.errors import UserError

ROWS_AT_ONCE = 64  # rows with image bytes can be large

RowOrFault = dict[str, Any] | str  # a string says why the row cannot be read


def read_rows(path: Path) -> Iterator[RowOrFault]:
    """The rows of a data file, or of a folder's parquet files in the order of their names.

    Raises UserError where the file as a whole is missing or broken.
    """
    if not path.exists():
        raise UserError(f"the data file {path} does not exist", fix="check data.path")
    if path.is_dir():
        files = sorted(path.glob("*.parquet"))
        if not files:
            raise UserError(f"the data folder {path} holds no parquet file", expected="*.parquet", fix="check data.path")
        return (row for file in files for row in _parquet_rows(file))
    if path.suffix == ".parquet":
        return _parquet_rows(path)
    return _json_rows(path)


def _json_rows(path: Path) -> Iterator[RowOrFault]:
    with path.open("rb") as file:
        opening = file.read(4096).lstrip()[:1]
    return _array_rows(path) if opening == b"[" else _line_rows(path)


def _array_rows(path: Path) -> Iterator[RowOrFault]:
    try:
        rows = json.loads(path.read_bytes())
    except (UnicodeDecodeError, json.JSONDecodeError) as error:
        raise UserError(f"{path} is not a JSON array: {error}", fix="repair the file, or write one JSON object a line") from None
    yield from (row if isinstance(row, dict) else f"is a JSON {type(row).__name__}, not an object" for row in rows)


def _line_rows(path: Path) -> Iterator[RowOrFault]:
    with path.open("rb") as file:
        yield from (_parse_line(line) for line in file if line.strip())


def _parse_line(line: bytes) -> RowOrFault:
    try:
        row = json.loads(line.decode("utf-8"))
    except UnicodeDecodeError as error:
        return f"is not UTF-8 text ({error.reason} at byte {error.start} of the line)"
    except (json.JSONDecodeError, RecursionError) as error:
        return f"is not JSON ({error})"
    return row if isinstance(row, dict) else f"is a JSON {type(row).__name__}, not an object"


def _parquet_rows(path: Path) -> Iterator[RowOrFault]:
    try:
        with pq.ParquetFile(path) as file:
            for batch in file.iter_batches(batch_size=ROWS_AT_ONCE):
                yield from _table_rows(batch)
    except (pa.ArrowException, OSError) as error:
        raise UserError(f"{path} cannot be read as parquet: {error}", fix="download or write the file again") from None


def _table_rows(batch: pa.RecordBatch) -> Iterator[RowOrFault]:
    for row in range(batch.num_rows):
        try:
            yield batch.slice(row, 1).to_pylist()[0]
        except UnicodeDecodeError as error:
            yield f"holds text that is not UTF-8 ({error.reason})"
