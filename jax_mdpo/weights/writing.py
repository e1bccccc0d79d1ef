"""Checkpoint folders written as Hugging Face writes them: one file or numbered shards with an index, whole or not at all."""

import json
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import numpy as np
from huggingface_hub import split_state_dict_into_shards_factory
from safetensors.numpy import save_file

from jax_mdpo.core.errors import UserError
from jax_mdpo.core.files import replacing, write_text
from jax_mdpo.weights.files import INDEX_FILE, SINGLE_FILE

MAX_SHARD_BYTES = 5 * 10**9
_METADATA = {"format": "pt"}  # transformers refuses to load files that do not name a framework


class LazyTensor(NamedTuple):
    """A tensor that is made when its shard is written. nbytes: its size as stored, needed beforehand to plan the shards."""

    nbytes: int
    make: Callable[[], np.ndarray]


def lazy(array: np.ndarray) -> LazyTensor:
    """An array that is in memory already."""
    return LazyTensor(array.nbytes, lambda: array)


def write_checkpoint(folder: Path, tensors: Mapping[str, LazyTensor], *, max_shard_bytes: int = MAX_SHARD_BYTES) -> None:
    """Writes `tensors` into `folder`, which exists: one file, or shards and their index, as Hugging Face names them.

    Files are filled in the order of `tensors` up to `max_shard_bytes`. Memory peaks at one shard.
    """
    split = _plan(tensors, max_shard_bytes)
    write_split(folder, tensors, split)
    if set(split.values()) != {SINGLE_FILE}:
        index = {"metadata": {"total_size": sum(tensor.nbytes for tensor in tensors.values())}, "weight_map": split}
        write_text(folder / INDEX_FILE, json.dumps(index, indent=2, sort_keys=True) + "\n")


def write_split(folder: Path, tensors: Mapping[str, LazyTensor], split: Mapping[str, str]) -> None:
    """Writes each tensor into the file that `split` gives for its key, one file after the other, and no index."""
    keys_of: dict[str, list[str]] = {}
    for key in tensors:
        keys_of.setdefault(split[key], []).append(key)
    for name, keys in keys_of.items():
        write_tensors(folder / name, {key: tensors[key].make() for key in keys})


def write_tensors(path: Path, tensors: Mapping[str, np.ndarray]) -> None:
    """One safetensors file, atomically."""
    with replacing(path) as temporary:
        save_file({key: np.asarray(array, order="C") for key, array in tensors.items()}, temporary, metadata=_METADATA)


@contextmanager
def new_folder(folder: Path, *, replace: bool = False) -> Iterator[Path]:
    """Yields a temporary folder beside `folder`; on a normal exit it takes `folder`'s name, so a half-written one is never seen.

    Raises UserError where `folder` exists and is not empty, unless `replace` is set.
    """
    folder = folder.absolute()
    refuse_filled(folder, replace=replace)
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=f".{folder.name}.") as scratch:
        made = Path(scratch) / "new"
        made.mkdir()
        yield made
        if folder.exists():
            folder.rename(Path(scratch) / "old")
        made.rename(folder)
        _sync(folder.parent)


def refuse_filled(folder: Path, *, replace: bool = False) -> None:
    """Raises UserError where `folder` is a file, or holds something and `replace` is not set."""
    if folder.exists() and not folder.is_dir():
        raise UserError(f"{folder} is a file", expected="a folder that does not exist yet")
    if not replace and folder.is_dir() and any(folder.iterdir()):
        raise UserError(f"{folder} exists and is not empty", fix="choose another folder, or remove this one")


def copy_tree(source: Path, target: Path, *, skip: Callable[[Path], bool]) -> None:
    """Copies files byte for byte below `target`; `skip` is asked for each path relative to `source`. Links become files."""
    for path in sorted(source.rglob("*")):
        relative = path.relative_to(source)
        if path.is_file() and not skip(relative):
            (target / relative).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, target / relative)


def _plan(tensors: Mapping[str, LazyTensor], max_shard_bytes: int) -> dict[str, str]:
    sizes = {key: tensor.nbytes for key, tensor in tensors.items()}
    plan = split_state_dict_into_shards_factory(
        sizes,
        get_storage_size=lambda size: size,
        filename_pattern="model{suffix}.safetensors",
        max_shard_size=max_shard_bytes,
    )
    return plan.tensor_to_filename


def _sync(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
