"""What a cache folder holds and what it was made from, so that a run never reads what belongs to something else."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from jax_mdpo.core.errors import UserError
from jax_mdpo.core.files import write_text

MANIFEST = "manifest.json"
ABSENT = "(absent)"


class Manifest(NamedTuple):
    """holds: names of the parts. made_from: readable values or digests by name. digest: of the data; None until they are complete."""

    holds: tuple[str, ...]
    made_from: Mapping[str, str]
    digest: str | None = None


def is_complete(folder: Path, wanted: Manifest) -> bool:
    """Whether a run can read what it wants there. Raises UserError where the folder holds what was made from something else."""
    found = read_manifest(folder)
    if found is None:
        return False
    lines = differences(found, wanted)
    if lines:
        raise UserError(
            f"the cache {folder} was made from something else:\n" + "\n".join(f"  - {line}" for line in lines),
            fix=f"put the old value back, choose another folder, or delete {folder} to compute it anew",
        )
    return found.digest is not None


def begin(folder: Path, wanted: Manifest, *, busy: bool) -> bool:
    """Whether the cache is complete by now; otherwise its manifest stands there. busy: another process is at it, which is refused."""
    if busy:
        raise UserError(f"another process is computing the cache {folder}", fix="wait until it ends, or stop it")
    complete = is_complete(folder, wanted)
    if not complete:
        write_manifest(folder, wanted)
    return complete


def differences(found: Manifest, wanted: Manifest) -> list[str]:
    """One line for each thing in which a cache is not what a run needs. A complete one may hold more parts than are needed."""
    lines = [
        f"{name}: the cache has {found.made_from.get(name, ABSENT)}, this run has {value}"
        for name, value in wanted.made_from.items()
        if found.made_from.get(name) != value
    ]
    enough = set(found.holds) >= set(wanted.holds) if found.digest is not None else set(found.holds) == set(wanted.holds)
    return lines if enough else [*lines, f"parts: the cache has {', '.join(found.holds)}, this run has {', '.join(wanted.holds)}"]


def read_manifest(folder: Path) -> Manifest | None:
    """None where there is none. Raises UserError where the folder is filled with something else, or the manifest cannot be read."""
    path = folder / MANIFEST
    if not path.is_file():
        if folder.exists() and any(not one.name.startswith(".") for one in folder.iterdir()):
            raise UserError(f"{folder} holds other files", expected="a cache, or nothing", fix="choose another folder")
        return None
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        return Manifest(tuple(found["holds"]), dict(found["made_from"]), found["digest"])
    except (ValueError, KeyError, TypeError) as error:
        raise UserError(f"{path} is damaged: {error!r}", fix=f"delete {folder}; it is then made anew") from None


def write_manifest(folder: Path, manifest: Manifest) -> None:
    """Atomically."""
    write_text(folder / MANIFEST, json.dumps(manifest._asdict(), indent=1, ensure_ascii=False) + "\n")


def complete_manifest(folder: Path) -> Manifest:
    """Of a complete cache. Raises UserError where it is not complete, or not to be seen from here."""
    manifest = read_manifest(folder)
    if manifest is None or manifest.digest is None:
        raise UserError(f"{folder} holds no complete cache", fix="put it where every process sees it")
    return manifest


def damaged(path: Path) -> UserError:
    """The error for a cache that is not what was written."""
    return UserError(f"{path} is damaged: its bytes are not those that were written", fix=f"delete {path.parent}; it is then made anew")
