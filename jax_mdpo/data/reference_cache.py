"""Log-probs of the reference, kept on disk for each record and view: computed once, read in every epoch.

manifest.json   the views, what the values were made from, and, once all are there, the digest of logps.npy
part-0.npz, …   the values of some records, while they are being computed
logps.npy       all values: float32, nats, one a scored token; view after view, record after record
"""

import hashlib
import logging
import time
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np

from jax_mdpo.core.files import replacing
from jax_mdpo.core.views import View
from jax_mdpo.data.index import TokenIndex
from jax_mdpo.data.manifest import Manifest, complete_manifest, damaged, write_manifest

log = logging.getLogger(__name__)

VERSION = 1  # of these files: raise it when their form changes
LOGPS = "logps.npy"
SECONDS_A_PART = 60.0  # of computing that a kill can cost

Starts = Mapping[View, np.ndarray]  # values of record `place` stand at starts[view][place] to starts[view][place + 1]


@dataclass(frozen=True)
class ReferenceCache:
    """A complete cache, read through a memory map: it costs no memory of its own."""

    path: Path
    digest: str
    starts: Starts

    @classmethod
    def open(cls, folder: Path, index: TokenIndex, views: Sequence[View]) -> "ReferenceCache":
        """The values of `views`. Raises UserError where the cache is not complete here, or a byte of it has changed."""
        manifest, path = complete_manifest(folder), folder / LOGPS
        digest = _sha256(path) if path.is_file() else ""
        if digest != manifest.digest:
            raise damaged(path)
        starts = starts_of(index, views_of(manifest))
        return cls(path, digest, {view: starts[view] for view in views})

    def logps(self, place: int) -> dict[View, np.ndarray] | None:
        """Of each view's scored tokens, float32, in nats; None where the record was bad when they were computed."""
        values = _mapped(self.path, self.digest)
        found = {view: np.array(values[starts[place] : starts[place + 1]]) for view, starts in self.starts.items()}
        return None if any(np.isnan(part).any() for part in found.values()) else found


@lru_cache(maxsize=4)
def _mapped(path: Path, digest: str) -> np.ndarray:
    """digest: names the content, so that a file that was made anew is mapped anew."""
    return np.load(path, mmap_mode="r", allow_pickle=False)


def named(view: View) -> str:
    """A view's name in a manifest."""
    return "/".join(view)


def views_of(manifest: Manifest) -> tuple[View, ...]:
    """The views that a cache holds, in the order of its file."""
    return tuple(View(*name.split("/")) for name in manifest.holds)


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
        self._starts = starts_of(index, views_of(manifest))
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


def _number(part: Path) -> int:
    return int(part.stem.removeprefix("part-"))


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
