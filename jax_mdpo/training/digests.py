"""Digests of a checkpoint's files. Orbax 0.12.8 restores a checkpoint with a flipped byte without an error, so the files carry our own.

A folder without `digests.json` was never finished: the file is written last, atomically, and names every other file of the folder.
"""

import hashlib
import json
from pathlib import Path

from jax_mdpo.core import files

DIGESTS = "digests.json"
UNFINISHED = f"{DIGESTS} is missing, so it was never finished or is half deleted"


def write_digests(folder: Path) -> None:
    """Seals `folder`: writes size and SHA-256 of each file in it to digests.json."""
    files.write_text(folder / DIGESTS, _as_text(_measure(folder)))


def fault(folder: Path) -> str | None:
    """Why `folder` is not what was sealed, naming the first file concerned; None where every byte is as it was."""
    seal = folder / DIGESTS
    if not seal.is_file():
        return UNFINISHED
    found = _measure(folder)
    written = seal.read_bytes()
    if written == _as_text(found).encode():
        return None
    try:
        expected = json.loads(written)["files"]
        return _difference(expected, found)
    except (ValueError, KeyError, TypeError, AttributeError):
        return f"{DIGESTS} is damaged"


def _measure(folder: Path) -> dict[str, dict[str, int | str]]:
    paths = sorted(path for path in folder.rglob("*") if path.is_file() and path != folder / DIGESTS)
    return {path.relative_to(folder).as_posix(): {"bytes": path.stat().st_size, "sha256": _sha256(path)} for path in paths}


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _as_text(measured: dict[str, dict[str, int | str]]) -> str:
    return json.dumps({"files": measured}, sort_keys=True, indent=1) + "\n"


def _difference(expected: dict[str, dict[str, int | str]], found: dict[str, dict[str, int | str]]) -> str:
    for name, was in expected.items():
        if name not in found:
            return f"{name} is missing"
        if found[name]["bytes"] != was["bytes"]:
            return f"{name} has {found[name]['bytes']} bytes, expected {was['bytes']}"
        if found[name]["sha256"] != was["sha256"]:
            return f"the bytes of {name} have changed"
    extra = sorted(found.keys() - expected.keys())
    return f"{extra[0]} was added" if extra else f"{DIGESTS} is damaged"
