"""The merged checkpoint: the source with the adapter added to its weights, otherwise the source, byte for byte.

An adapter that was trained on quantised weights corrects those: it can be added to what they stand for, or to the source's own.
"""

import json
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from jax_mdpo.core.errors import UserError, WeightsError
from jax_mdpo.lora.peft_files import Factors
from jax_mdpo.lora.targets import Target
from jax_mdpo.weights.files import INDEX_FILE, NUMPY_DTYPES, SINGLE_FILE, CheckpointFiles
from jax_mdpo.weights.key_layouts import canonical as llava_canonical
from jax_mdpo.weights.quantising import Format
from jax_mdpo.weights.writing import LazyTensor, copy_tree, new_folder, refuse_filled, write_split

# Files that hold weights in some format: beside merged safetensors they would be stale copies of the old ones.
_WEIGHT_FILES = {".safetensors", ".bin", ".pt", ".pth", ".ckpt", ".h5", ".msgpack", ".gguf", ".onnx", ".pkl", ".pickle", ".npz"}
_CODE = {".py", ".pyc"}
_NONE: Mapping[str, Format] = {}


class Update(NamedTuple):
    """What an adapter adds to a weight [out, in]: scaling · b @ a."""

    a: Float[np.ndarray, "r in"]
    b: Float[np.ndarray, "out r"]
    scaling: float


class Change(NamedTuple):
    """What becomes of a stored weight: into a format and back, then the update added; one of them, or both."""

    update: Update | None = None
    form: Format | None = None


def export_merged(
    source: Path,
    out: Path,
    *,
    factors: Factors,
    targets: Mapping[str, Target],
    dequantised: Mapping[str, Format] = _NONE,
    canonical: Callable[[str], str] = llava_canonical,
) -> None:
    """Writes the checkpoint of `source` into `out` with W + scaling · B @ A in the place of each target's W [out, in].

    dequantised: modules whose W is not the source's, but what it becomes in a format and back: the weights of a quantised model.
    The sum is made in float32 and cast to the dtype of W. Key layout, division into files, every other tensor, and all files but
    weights and code are the source's own. Memory peaks at one shard and one weight in float32.
    Raises WeightsError where a target has no weight of its own in the source, or its shape does not fit; UserError where `out` is
    in the way. `out` appears whole or not at all.
    """
    _refuse_place(source, out)
    checkpoint = CheckpointFiles.open(source)
    names = _target_keys(checkpoint, factors, targets, canonical)
    changes = {key: Change(Update(*factors[name], targets[name].scaling)) for key, name in names.items()}
    for key in checkpoint.tensors:
        form = dequantised.get(canonical(key).removesuffix(".weight"))
        if form is not None:
            changes[key] = changes.get(key, Change())._replace(form=form)
    with new_folder(out) as made:
        copy_tree(source, made, skip=_is_weights_or_code)
        tensors = {
            key: LazyTensor(
                info.nbytes, partial(_changed, checkpoint, key, changes[key]) if key in changes else partial(checkpoint.read, key)
            )
            for key, info in checkpoint.tensors.items()
        }
        write_split(made, tensors, checkpoint.split)
        if not (source / SINGLE_FILE).is_file():
            (made / INDEX_FILE).write_bytes((source / INDEX_FILE).read_bytes())


def merge(weight: np.ndarray, a: Float[np.ndarray, "r in"], b: Float[np.ndarray, "out r"], scaling: float) -> np.ndarray:
    """weight [out, in] + scaling · b @ a, summed in float32, in the dtype of `weight`."""
    return (weight.astype(np.float32) + np.float32(scaling) * (b @ a)).astype(weight.dtype)


def _changed(checkpoint: CheckpointFiles, key: str, change: Change) -> np.ndarray:
    stored = checkpoint.read(key)
    weight = stored.astype(np.float32)
    if change.form is not None:
        weight = change.form.decode(change.form.encode(stored.T), stored.shape[1]).T
    return (weight if change.update is None else merge(weight, *change.update)).astype(stored.dtype)


def _target_keys(
    checkpoint: CheckpointFiles, factors: Factors, targets: Mapping[str, Target], canonical: Callable[[str], str]
) -> dict[str, str]:
    """The stored key of each target's weight, to the target's name."""
    stored = {canonical(key): key for key in checkpoint.tensors}
    found: dict[str, str] = {}
    faults = []
    for name in targets:
        key = stored.get(canonical(f"{name}.weight"))
        if key is None or (canonical(name) == "lm_head" and _ties_embeddings(checkpoint.folder)):
            tied = ": it is tied to the embeddings, which an adapter of the head must not change" if "lm_head" in name else ""
            faults.append(f"{name} has no weight of its own{tied}")
            continue
        info, (a, b) = checkpoint.tensors[key], factors[name]
        if info.shape != (b.shape[0], a.shape[1]):
            faults.append(f"{name}: the weight is {info.shape}, the adapter {(b.shape[0], a.shape[1])}")
        elif not _is_float(info.dtype):
            faults.append(f"{name}: the weight is stored as {info.dtype}: quantised weights cannot be merged into")
        found[key] = name
    if faults:
        raise WeightsError(f"the adapter cannot be merged into {checkpoint.folder}:\n" + "\n".join(f"  - {fault}" for fault in faults))
    return found


def _is_float(dtype: str) -> bool:
    return dtype == "BF16" or np.issubdtype(NUMPY_DTYPES[dtype], np.floating)


def _ties_embeddings(folder: Path) -> bool:
    path = folder / "config.json"
    config = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    return any(part.get("tie_word_embeddings") is True for part in (config, config.get("text_config") or {}))


def _is_weights_or_code(path: Path) -> bool:
    hidden = any(part.startswith(".") for part in path.parts)
    return hidden or path.suffix in _WEIGHT_FILES | _CODE or path.name.endswith(".index.json")


def _refuse_place(source: Path, out: Path) -> None:
    if out.resolve() == source.resolve() or source.resolve() in out.resolve().parents:
        raise UserError(f"{out} lies in the source checkpoint", expected="a folder elsewhere: the source is never written to")
    refuse_filled(out)
