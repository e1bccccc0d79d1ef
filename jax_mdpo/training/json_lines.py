"""Files of one JSON object a line that survive a kill: what a killed process left half-written is cut off before the next one appends."""

import json
import math
import os
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from jax_mdpo.core import files


class JsonLines:
    """Appends objects to `path`; a line is with the kernel, safe from a kill of this process, when the call that wrote it returns."""

    def __init__(self, path: Path):
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file = path.open("a", encoding="utf-8")

    def append(self, values: Mapping[str, Any]) -> None:
        """Writes one line. Numbers that JSON has no name for (NaN, infinities) become null."""
        self.extend([values])

    def extend(self, rows: Iterable[Mapping[str, Any]]) -> None:
        """Writes a line for each, all in one go, so that a kill hardly ever comes between them."""
        self._file.write("".join(_line(row) for row in rows))
        self._file.flush()

    def sync(self) -> None:
        """Returns when the lines are on disk, safe from a power cut."""
        os.fsync(self._file.fileno())

    def close(self) -> None:
        self._file.close()


def cut(path: Path, keep: Callable[[dict[str, Any]], bool]) -> list[dict[str, Any]]:
    """Reduces `path`, atomically, to its leading whole objects for which `keep` holds, and returns these. No file is no objects."""
    if not path.exists():
        return []
    content = path.read_bytes()
    kept, size = [], 0
    for line in content.splitlines(keepends=True):
        found = _whole_object(line)
        if found is None or not keep(found):
            break
        kept.append(found)
        size += len(line)
    if size < len(content):
        with files.replacing(path) as temporary:
            temporary.write_bytes(content[:size])
    return kept


def _whole_object(line: bytes) -> dict[str, Any] | None:
    if not line.endswith(b"\n"):
        return None
    try:
        found = json.loads(line)
    except ValueError:
        return None
    return found if isinstance(found, dict) else None


def _line(values: Mapping[str, Any]) -> str:
    return json.dumps({key: _nameable(value) for key, value in values.items()}, ensure_ascii=False, allow_nan=False) + "\n"


def _nameable(value: Any) -> Any:
    return None if isinstance(value, float) and not math.isfinite(value) else value
