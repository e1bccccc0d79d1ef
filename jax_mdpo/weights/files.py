"""Checkpoint folders as Hugging Face writes them, read lazily: headers first, then only the slices that are asked for."""

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any, NamedTuple

import ml_dtypes
import numpy as np
from safetensors import SafetensorError, safe_open

from jax_mdpo.core.errors import WeightsError, nearest

SINGLE_FILE = "model.safetensors"
INDEX_FILE = "model.safetensors.index.json"
NUMPY_DTYPES = {
    "F64": np.dtype(np.float64),
    "F32": np.dtype(np.float32),
    "F16": np.dtype(np.float16),
    "BF16": np.dtype(ml_dtypes.bfloat16),
    "I64": np.dtype(np.int64),
    "I32": np.dtype(np.int32),
    "I16": np.dtype(np.int16),
    "I8": np.dtype(np.int8),
    "U8": np.dtype(np.uint8),
    "BOOL": np.dtype(np.bool_),
}
_TO_SAFETENSORS = "save it once as safetensors (transformers: model.save_pretrained(folder)) on a machine where you trust the file"


class TensorInfo(NamedTuple):
    """Where a tensor is stored and as what; `dtype` is the safetensors name ("BF16", "F32")."""

    file: str
    shape: tuple[int, ...]
    dtype: str

    @property
    def nbytes(self) -> int:
        return prod(self.shape) * NUMPY_DTYPES[self.dtype].itemsize


@dataclass(frozen=True)
class CheckpointFiles:
    """The tensors of a folder with model.safetensors, or with shards and their index. Nothing but headers is held in memory."""

    folder: Path
    tensors: Mapping[str, TensorInfo]

    @classmethod
    def open(cls, folder: Path) -> "CheckpointFiles":
        """Reads every header and checks the files against each other and against the index.

        Raises WeightsError with all faults: no safetensors, a missing, truncated or unreadable shard, an index that differs from
        its files, a tensor stored twice, a dtype that is not supported.
        """
        if not folder.is_dir():
            raise WeightsError(f"{folder} is not a folder", fix="give the folder of a Hugging Face checkpoint")
        if (folder / SINGLE_FILE).is_file():  # where a folder holds both, transformers too reads the single file
            headers, weight_map = {SINGLE_FILE: read_header(folder / SINGLE_FILE)}, None
        elif (folder / INDEX_FILE).is_file():
            weight_map = _read_index(folder / INDEX_FILE)
            headers = _shard_headers(folder, sorted(set(weight_map.values())))
        else:
            raise _no_weights(folder)
        faults = _faults(headers, weight_map)
        if faults:
            raise WeightsError(f"{folder}: the weight files have {len(faults)} fault(s):\n" + "\n".join(f"  - {f}" for f in faults))
        return cls(folder, {key: info for header in headers.values() for key, info in header.items()})

    @property
    def dtype(self) -> str:
        """The stored dtype of most of the parameters, by bytes ("BF16")."""
        sizes: Counter[str] = Counter()
        for info in self.tensors.values():
            sizes[info.dtype] += info.nbytes
        return sizes.most_common(1)[0][0]

    @property
    def split(self) -> dict[str, str]:
        """Which file holds which tensor: key to file name."""
        return {key: info.file for key, info in self.tensors.items()}

    def read(self, key: str, index: tuple[slice, ...] | None = None) -> np.ndarray:
        """The tensor, or the part that `index` names (one slice per leading dimension), in its stored dtype.

        The file is mapped for this one call: a mapping that stays open counts every page it has touched as resident memory.
        """
        if key not in self.tensors:
            raise WeightsError(f"{self.folder} has no tensor {key!r}", fix=nearest(key, self.tensors))
        info = self.tensors[key]
        with safe_open(self.folder / info.file, framework="np") as file:
            if not index:
                return file.get_tensor(key)
            bounds = (part.indices(size) for part, size in zip(index, info.shape, strict=False))
            return file.get_slice(key)[tuple(slice(*bound) for bound in bounds)]


def read_header(path: Path) -> dict[str, TensorInfo]:
    """The tensors of one safetensors file. Raises WeightsError where it is truncated or is no safetensors file."""
    try:
        with safe_open(path, framework="np") as file:
            slices = {key: file.get_slice(key) for key in file.keys()}  # noqa: SIM118 (no mapping)
            return {key: TensorInfo(path.name, tuple(part.get_shape()), part.get_dtype()) for key, part in slices.items()}
    except (SafetensorError, OSError) as error:
        raise WeightsError(
            f"{path} cannot be read: {error}",
            expected="a complete safetensors file",
            got=f"{path.stat().st_size} bytes" if path.exists() else "nothing",
            fix="the download or copy was probably cut short: fetch the file again",
        ) from None


def _shard_headers(folder: Path, names: list[str]) -> dict[str, dict[str, TensorInfo]]:
    outside = [name for name in names if Path(name).name != name]
    if outside:
        raise WeightsError(f"{folder / INDEX_FILE} names files outside its folder: {', '.join(outside)}", expected="plain file names")
    missing = [name for name in names if not (folder / name).is_file()]
    if missing:
        raise WeightsError(
            f"{folder} lacks {len(missing)} of the {len(names)} weight files that its index names: {', '.join(missing)}",
            fix="fetch the missing files",
        )
    return {name: read_header(folder / name) for name in names}


def _read_index(path: Path) -> dict[str, str]:
    try:
        weight_map: Any = json.loads(path.read_text(encoding="utf-8"))["weight_map"]
    except (ValueError, KeyError, TypeError) as error:
        raise WeightsError(f"{path} is not a weight index: {error!r}", expected='JSON with a "weight_map"') from None
    if not isinstance(weight_map, dict) or not weight_map or not all(isinstance(name, str) for name in weight_map.values()):
        raise WeightsError(f"{path} is not a weight index", expected='a "weight_map" from tensor names to file names')
    return weight_map


def _faults(headers: Mapping[str, Mapping[str, TensorInfo]], weight_map: Mapping[str, str] | None) -> list[str]:
    found = [(key, info) for header in headers.values() for key, info in header.items()]
    places: dict[str, list[str]] = {}
    for key, info in found:
        places.setdefault(key, []).append(info.file)
    faults = [f"{key} stands in {' and in '.join(files)}" for key, files in places.items() if len(files) > 1]
    faults += [f"{key} has dtype {info.dtype}, which is not supported" for key, info in found if info.dtype not in NUMPY_DTYPES]
    if weight_map is not None:
        faults += [f"{file} lacks {key}, which the index places there" for key, file in weight_map.items() if key not in headers[file]]
        faults += [f"{info.file} holds {key}, which the index does not name" for key, info in found if key not in weight_map]
    return faults or ([] if found else ["there is not a single tensor"])


def _no_weights(folder: Path) -> WeightsError:
    if (folder / "adapter_config.json").is_file():
        return WeightsError(f"{folder} holds a PEFT adapter, not a model", fix="give the base model here and this folder as the adapter")
    pickled = sorted(path.name for kind in ("*.bin", "*.pt", "*.pth", "*.ckpt") for path in folder.glob(kind))
    if pickled:
        return WeightsError(
            f"{folder} holds only pickled weights ({', '.join(pickled[:3])}), which are never read: unpickling runs code",
            expected=f"{SINGLE_FILE}, or {INDEX_FILE} and its shards",
            fix=_TO_SAFETENSORS,
        )
    return WeightsError(f"{folder} holds no weights", expected=f"{SINGLE_FILE}, or {INDEX_FILE} and its shards", got=_listing(folder))


def _listing(folder: Path) -> str:
    names = sorted(path.name for path in folder.iterdir())
    return ", ".join(names[:8] + ["…"] * (len(names) > 8)) or "an empty folder"
