"""Log-probs of the reference, kept on disk for each record and view: computed once, read in every epoch.

manifest.json   the views, what the values were made from, and, once all are there, the digest of logps.npy
part-0.npz, …   the values of some records, while they are being computed
logps.npy       all values: float32, nats, one a scored token; view after view, record after record
"""

import hashlib
import json
import logging
import time
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import numpy as np

from jax_mdpo.core.errors import UserError
from jax_mdpo.core.files import replacing, write_text
from jax_mdpo.core.views import View
from jax_mdpo.data.index import TokenIndex

log = logging.getLogger(__name__)

VERSION = 1  # of these files: raise it when their form changes
MANIFEST = "manifest.json"
LOGPS = "logps.npy"
SECONDS_A_PART = 60.0  # of computing that a kill can cost
ABSENT = "(absent)"

Starts = Mapping[View, np.ndarray]  # values of record `place` stand at starts[view][place] to starts[view][place + 1]


class Manifest(NamedTuple):
    """What a cache holds. made_from: readable values or digests by name. digest: SHA-256 of logps.npy; None until it is complete."""

    views: tuple[View, ...]
    made_from: dict[str, str]
    digest: str | None = None


@dataclass(frozen=True)
class ReferenceCache:
    """A complete cache, read through a memory map: it costs a worker no memory of its own."""

    path: Path
    digest: str
    starts: Starts

    @classmethod
    def open(cls, folder: Path, index: TokenIndex, views: Sequence[View]) -> "ReferenceCache":
        """The values of `views`. Raises UserError where the cache is not complete here, or a byte of it has changed."""
        manifest, path = read_manifest(folder), folder / LOGPS
        if manifest is None or manifest.digest is None or not path.is_file():
            raise UserError(f"{folder} holds no complete reference cache", fix="put it where every process sees it")
        if _sha256(path) != manifest.digest:
            raise UserError(f"{path} is damaged: its bytes are not those that were written", fix=f"delete {folder}; it is then made anew")
        starts = starts_of(index, manifest.views)
        return cls(path, manifest.digest, {view: starts[view] for view in views})

    def logps(self, place: int) -> dict[View, np.ndarray] | None:
        """Of each view's scored tokens, float32, in nats; None where the record was bad when they were computed."""
        values = _mapped(self.path, self.digest)
        found = {view: np.array(values[starts[place] : starts[place + 1]]) for view, starts in self.starts.items()}
        return None if any(np.isnan(part).any() for part in found.values()) else found


@lru_cache(maxsize=4)
def _mapped(path: Path, digest: str) -> np.ndarray:
    """digest: names the content, so that a file that was made anew is mapped anew."""
    return np.load(path, mmap_mode="r", allow_pickle=False)


def starts_of(index: TokenIndex, views: Sequence[View]) -> Starts:
    """Where the values of each view and record begin, and where the last end."""
    starts: dict[View, np.ndarray] = {}
    begin = 0
    for view in views:
        starts[view] = begin + np.concatenate([[0], np.cumsum(index.scored(view.response))])
        begin = int(starts[view][-1])
    return starts


class Unfinished:
    """A cache while it is computed: a context whose end, however it comes, saves what was added.

    What was saved before is read back; parts that are damaged are dropped with a warning.
    """

    def __init__(self, folder: Path, index: TokenIndex, manifest: Manifest):
        self._folder, self._manifest = folder, manifest
        self._starts = starts_of(index, manifest.views)
        self._logps = np.full(max(int(starts[-1]) for starts in self._starts.values()), np.nan, np.float32)
        self._known: list[int] = []
        self._unsaved: list[int] = []
        self._parts = sorted(folder.glob("part-*.npz"), key=_number)
        for path in list(self._parts):
            self._read(path)
        self._saved = time.monotonic()

    def __enter__(self) -> "Unfinished":
        return self

    def __exit__(self, *_: object) -> None:
        self.save()

    @property
    def places(self) -> list[int]:
        """The records that have their values or are known to be bad."""
        return [*self._known, *self._unsaved]

    def add(self, place: int, logps: Mapping[View, np.ndarray] | None) -> None:
        """The values of a record, one for each scored token of each view; None where it is bad."""
        if logps is not None:
            for view, starts in self._starts.items():
                self._logps[starts[place] : starts[place + 1]] = logps[view]
        self._unsaved.append(place)
        if time.monotonic() - self._saved >= SECONDS_A_PART:
            self.save()

    def save(self) -> None:
        """Writes what was added since the last time as a part."""
        self._saved = time.monotonic()
        if not self._unsaved:
            return
        path = self._folder / f"part-{1 + max(map(_number, self._parts), default=-1)}.npz"
        with replacing(path) as temporary, temporary.open("wb") as file:
            np.savez(file, places=np.array(self._unsaved), logps=self._logps[self._values(self._unsaved)])
        self._parts.append(path)
        self._known += self._unsaved
        self._unsaved = []

    def finish(self) -> None:
        """Puts the parts together. Interrupted at any point, it can be done again."""
        self.save()
        path = self._folder / LOGPS
        with replacing(path) as temporary, temporary.open("wb") as file:
            np.save(file, self._logps)
        write_manifest(self._folder, self._manifest._replace(digest=_sha256(path)))
        for part in self._parts:
            part.unlink(missing_ok=True)

    def _values(self, places: Sequence[int]) -> np.ndarray:
        return np.concatenate([np.arange(starts[place], starts[place + 1]) for place in places for starts in self._starts.values()])

    def _read(self, path: Path) -> None:
        try:
            with path.open("rb") as file, np.load(file, allow_pickle=False) as stored:  # zip members carry checksums
                places, logps = stored["places"], stored["logps"]
            self._logps[self._values(places.tolist())] = logps
            self._known += places.tolist()
        except (OSError, ValueError, KeyError, IndexError, zipfile.BadZipFile) as error:
            log.warning("%s is damaged (%s): its records are computed again", path, error)
            self._parts.remove(path)
            path.unlink()


def is_complete(folder: Path, wanted: Manifest) -> bool:
    """Whether a run can read what it wants there. Raises UserError where the folder holds what was made from something else."""
    found = read_manifest(folder)
    if found is None:
        return False
    lines = differences(found, wanted)
    if lines:
        raise UserError(
            f"the reference cache {folder} was made from something else:\n" + "\n".join(f"  - {line}" for line in lines),
            fix=f"put the old value back, choose another reference.cache, or delete {folder} to compute it anew",
        )
    return found.digest is not None


def begin(folder: Path, wanted: Manifest, *, busy: bool) -> bool:
    """Whether the cache is complete by now; otherwise its manifest stands there. busy: another process is at it, which is refused."""
    if busy:
        raise UserError(f"another process is computing the reference cache {folder}", fix="wait until it ends, or stop it")
    complete = is_complete(folder, wanted)
    if not complete:
        write_manifest(folder, wanted)
    return complete


def differences(found: Manifest, wanted: Manifest) -> list[str]:
    """One line for each thing in which a cache is not what a run needs. A complete one may hold more views than are needed."""
    lines = [
        f"{name}: the cache has {found.made_from.get(name, ABSENT)}, this run has {value}"
        for name, value in wanted.made_from.items()
        if found.made_from.get(name) != value
    ]
    enough = set(found.views) >= set(wanted.views) if found.digest is not None else set(found.views) == set(wanted.views)
    return lines if enough else [*lines, f"views: the cache has {_shown(found.views)}, this run has {_shown(wanted.views)}"]


def read_manifest(folder: Path) -> Manifest | None:
    """None where there is none. Raises UserError where the folder is filled with something else, or the manifest cannot be read."""
    path = folder / MANIFEST
    if not path.is_file():
        if folder.exists() and any(not one.name.startswith(".") for one in folder.iterdir()):
            raise UserError(f"{folder} holds other files", expected="a reference cache, or nothing", fix="choose another reference.cache")
        return None
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        return Manifest(tuple(View(*view) for view in found["views"]), dict(found["made_from"]), found["digest"])
    except (ValueError, KeyError, TypeError) as error:
        raise UserError(f"{path} is damaged: {error!r}", fix=f"delete {folder}; it is then made anew") from None


def write_manifest(folder: Path, manifest: Manifest) -> None:
    """Atomically."""
    write_text(folder / MANIFEST, json.dumps(manifest._asdict(), indent=1, ensure_ascii=False) + "\n")


def _shown(views: Sequence[View]) -> str:
    return ", ".join(f"({view.image}, {view.response})" for view in sorted(views))


def _number(part: Path) -> int:
    return int(part.stem.removeprefix("part-"))


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
