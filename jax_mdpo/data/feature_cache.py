"""Vision features of a data set's images, kept on disk: training then neither opens an image nor runs the tower.

manifest.json    the image variants, what the features were made from, and, once all are there, the digest of checks.npy
clean.bin, …     the features of one variant: record after record, [patches, width] each, in the dtype of the activations
checks.npy       by variant and record: the CRC-32 of its features, or why there are none
"""

import hashlib
import os
import shutil
import time
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from math import prod
from pathlib import Path
from typing import Literal

import ml_dtypes  # noqa: F401 (gives numpy the name "bfloat16")
import numpy as np

from jax_mdpo.core.errors import UserError
from jax_mdpo.core.files import replacing
from jax_mdpo.data.manifest import Manifest, complete_manifest, damaged, write_manifest

VERSION = 1  # of these files: raise it when their form changes
CHECKS = "checks.npy"
MISSING, BAD = -1, -2  # in place of a CRC: not computed yet; the record was bad
SECONDS_A_SAVE = 60.0  # of computing that a kill can cost


@dataclass(frozen=True)
class Form:
    """Of the features: how many records, patches × width of each, dtype by its name."""

    records: int
    shape: tuple[int, int]
    dtype: str

    @property
    def nbytes(self) -> int:
        """Of one variant's file."""
        return self.records * prod(self.shape) * np.dtype(self.dtype).itemsize


@dataclass(frozen=True)
class FeatureCache:
    """A complete cache, read through memory maps: it costs no memory of its own."""

    folder: Path
    variants: Mapping[str, int]  # and which row of checks.npy is whose
    form: Form
    digest: str

    @classmethod
    def open(cls, folder: Path, variants: tuple[str, ...], form: Form) -> "FeatureCache":
        """Raises UserError where the cache is not complete here, or files of it are damaged, as far as their sizes tell."""
        manifest, checks = complete_manifest(folder), folder / CHECKS
        digest = _sha256(checks) if checks.is_file() else ""
        if digest != manifest.digest:
            raise damaged(checks)
        for path in (_file(folder, variant) for variant in variants):
            if not _is_whole(path, form):
                raise damaged(path)
        return cls(folder, {variant: manifest.holds.index(variant) for variant in variants}, form, digest)

    def features(self, place: int) -> dict[str, np.ndarray] | None:
        """By variant; None where the record was bad when they were computed. Raises UserError where a byte of them has changed."""
        found, checks = {}, _checks(self.folder / CHECKS, self.digest)
        for variant, number in self.variants.items():
            if checks[number, place] == BAD:
                return None
            path = _file(self.folder, variant)
            found[variant] = np.array(_mapped(path, self.form, self.digest)[place])
            if zlib.crc32(found[variant].tobytes()) != checks[number, place]:
                raise damaged(path)
        return found

    def nothing(self) -> np.ndarray:
        """Stands where a pair has no features."""
        return np.zeros(self.form.shape, self.form.dtype)


class UnfinishedFeatures:
    """A cache while it is computed: a context whose end, however it comes, saves what was added."""

    def __init__(self, folder: Path, manifest: Manifest, form: Form):
        """Raises UserError where the disk lacks the space."""
        self._folder, self._manifest = folder, manifest
        _reserve([_file(folder, variant) for variant in manifest.holds], form)
        self._maps = {variant: _map(_file(folder, variant), form, "r+") for variant in manifest.holds}
        self._checks = np.load(folder / CHECKS) if (folder / CHECKS).is_file() else np.full((len(self._maps), form.records), MISSING)
        self._saved = time.monotonic()

    def __enter__(self) -> "UnfinishedFeatures":
        return self

    def __exit__(self, *_: object) -> None:
        self.save()

    @property
    def places(self) -> list[int]:
        """The records that have their features or are known to be bad."""
        return np.flatnonzero((self._checks != MISSING).all(axis=0)).tolist()

    def add(self, place: int, features: Mapping[str, np.ndarray] | None) -> None:
        """The features of a record's variants; None where it is bad."""
        for number, (variant, stored) in enumerate(self._maps.items()):
            if features is None:
                self._checks[number, place] = BAD
            else:
                stored[place] = features[variant]
                self._checks[number, place] = zlib.crc32(stored[place].tobytes())
        if time.monotonic() - self._saved >= SECONDS_A_SAVE:
            self.save()

    def save(self) -> None:
        """The features first: what checks.npy speaks of is on disk."""
        for stored in self._maps.values():
            stored.flush()
        with replacing(self._folder / CHECKS) as temporary, temporary.open("wb") as file:
            np.save(file, self._checks)
        self._saved = time.monotonic()

    def finish(self) -> None:
        """Says that all are there."""
        self.save()
        write_manifest(self._folder, self._manifest._replace(digest=_sha256(self._folder / CHECKS)))


@lru_cache(maxsize=8)
def _mapped(path: Path, form: Form, digest: str) -> np.ndarray:
    """digest: names the content, so that files that were made anew are mapped anew."""
    return _map(path, form, "r")


@lru_cache(maxsize=8)
def _checks(path: Path, digest: str) -> np.ndarray:
    return np.load(path, allow_pickle=False)


def _map(path: Path, form: Form, mode: Literal["r", "r+"]) -> np.memmap:
    return np.memmap(path, form.dtype, mode, shape=(form.records, *form.shape))


def _file(folder: Path, variant: str) -> Path:
    return folder / f"{variant}.bin"


def _is_whole(path: Path, form: Form) -> bool:
    return path.is_file() and path.stat().st_size == form.nbytes


def _reserve(paths: Sequence[Path], form: Form) -> None:
    """Takes the space now: writing through a map to a full disk would end the program by a signal."""
    missing = [path for path in paths if not _is_whole(path, form)]
    free, needed = shutil.disk_usage(paths[0].parent).free, len(missing) * form.nbytes
    if needed > free:
        raise UserError(
            f"the disk of {paths[0].parent} lacks space for the vision features",
            expected=f"{needed / 1e9:.1f} GB",
            got=f"{free / 1e9:.1f} GB free",
            fix="choose another vision.cache, or leave it out to run the tower in every step",
        )
    for path in missing:
        with path.open("wb") as file:
            os.posix_fallocate(file.fileno(), 0, form.nbytes)


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
