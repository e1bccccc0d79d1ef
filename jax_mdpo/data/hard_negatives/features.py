"""A file of image features that the user brings, and who is near to whom by them."""

import functools
import hashlib
import threading
import zipfile
from pathlib import Path

import numpy as np
from jaxtyping import Float, Int

from jax_mdpo.core.errors import RecordError, UserError

WANTED = "an .npz with the arrays ids [N], text or whole numbers, and features [N, D], numbers"
READING = threading.Lock()  # data workers are threads: the first one reads, the others wait


class Features:
    """Feature vectors by record id, all of length 1. rows: id (as text) → row."""

    def __init__(self, path: str, rows: dict[str, int], vectors: Float[np.ndarray, "N D"]):
        self.path, self.rows, self.vectors = path, rows, vectors

    def row(self, id: str | int) -> int:
        """The row of a record. Raises RecordError where the file has none."""
        if str(id) not in self.rows:
            raise RecordError(
                f"record {id!r}: has no features in {self.path}",
                expected="its id in the file's array ids",
                fix="compute its features too, or leave the record out",
            )
        return self.rows[str(id)]

    def nearest(self, ids: tuple[str | int, ...], index: int) -> Int[np.ndarray, " found"]:
        """The places of those records of a data set that have features, the nearest to the record at `index` first, by cosine.

        The record itself is among them. Equally near ones keep the data set's order. Raises RecordError where it has no features.
        """
        alike = self.vectors @ self.vectors[self.row(ids[index])]
        places, rows = _present(self, ids)
        return places[np.argsort(-alike[rows], kind="stable")]

    def digest(self) -> str:
        """A digest of ids and features."""
        found = hashlib.sha256(repr(list(self.rows)).encode())
        found.update(np.ascontiguousarray(self.vectors).data)
        return found.hexdigest()


def read_features(path: str) -> Features:
    """The features in a file, read once per process and again when the file changes. Raises UserError where it holds none."""
    try:
        found = Path(path).stat()
    except OSError as error:
        raise UserError(f"the feature file {path} cannot be read: {error.strerror}", expected=WANTED, fix="set features to it") from None
    with READING:
        return _read(path, found.st_mtime_ns, found.st_size)


@functools.lru_cache(maxsize=2)  # a data set for training and one for evaluation
def _read(path: str, modified: int, size: int) -> Features:
    try:
        with Path(path).open("rb") as file, np.load(file, allow_pickle=False) as stored:
            ids, features = stored["ids"], stored["features"]
    except (OSError, ValueError, KeyError, TypeError, AttributeError, EOFError, zipfile.BadZipFile) as error:
        raise _unusable(path, str(error)) from None
    if ids.ndim != 1 or features.ndim != 2 or len(ids) != len(features) or not features.size:
        raise _unusable(path, f"ids {list(ids.shape)} and features {list(features.shape)}")
    if ids.dtype.kind not in "Uiu" or features.dtype.kind not in "fiu":
        raise _unusable(path, f"ids of {ids.dtype} and features of {features.dtype}")
    rows = {str(id): row for row, id in enumerate(ids.tolist())}
    if len(rows) < len(ids):
        twice = next(id for row, id in enumerate(ids.tolist()) if rows[str(id)] != row)
        raise UserError(f"the feature file {path} names the id {twice!r} twice", expected="every id once")
    vectors = features.astype(np.float32)
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    bad = np.flatnonzero(~np.isfinite(lengths[:, 0]) | (lengths[:, 0] == 0))
    if len(bad):
        raise UserError(
            f"the feature file {path} has no direction for the id {ids.tolist()[bad[0]]!r} (and {len(bad) - 1} others)",
            expected="finite features that are not all zero",
        )
    return Features(path, rows, vectors / lengths)


@functools.lru_cache(maxsize=2)
def _present(features: Features, ids: tuple[str | int, ...]) -> tuple[Int[np.ndarray, " found"], Int[np.ndarray, " found"]]:
    """The places of a data set that have features, and their rows."""
    found = [(place, features.rows[str(id)]) for place, id in enumerate(ids) if str(id) in features.rows]
    places, rows = np.array(found, np.int64).T
    return places, rows


def _unusable(path: str, got: str) -> UserError:
    return UserError(f"the feature file {path} cannot be used", expected=WANTED, got=got, fix="write it with numpy.savez")
