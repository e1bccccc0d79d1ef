"""Checkpoints written as Hugging Face writes them, one shard in memory at a time, whole or not at all."""

import json

import ml_dtypes
import numpy as np
import pytest
from huggingface_hub import split_torch_state_dict_into_shards
from tiny_llava import tiny_llava
from transformers import LlavaForConditionalGeneration

from jax_mdpo.core.errors import UserError
from jax_mdpo.weights.files import INDEX_FILE, SINGLE_FILE, CheckpointFiles
from jax_mdpo.weights.writing import LazyTensor, copy_tree, lazy, new_folder, write_checkpoint, write_split


def tensors_of(model):
    return {key: lazy(tensor.numpy()) for key, tensor in model.state_dict().items()}


def names(folder):
    return [path.name for path in folder.iterdir()]


@pytest.mark.parametrize("max_shard_bytes", [10**9, 40_000, 5_000])
def test_files_and_index_are_those_of_hugging_face(tmp_path, max_shard_bytes):
    model = tiny_llava()
    write_checkpoint(tmp_path, tensors_of(model), max_shard_bytes=max_shard_bytes)
    expected = split_torch_state_dict_into_shards(model.state_dict(), max_shard_size=max_shard_bytes)
    assert {path.name for path in tmp_path.glob("*.safetensors")} == expected.filename_to_tensors.keys()
    assert CheckpointFiles.open(tmp_path).split == expected.tensor_to_filename
    assert (tmp_path / INDEX_FILE).exists() == expected.is_sharded
    if expected.is_sharded:
        index = json.loads((tmp_path / INDEX_FILE).read_text())
        assert index["metadata"]["total_size"] == sum(tensor.nbytes for tensor in model.state_dict().values())


def test_transformers_loads_what_is_written(tmp_path):
    model = tiny_llava()
    model.config.save_pretrained(tmp_path)
    write_checkpoint(tmp_path, tensors_of(model), max_shard_bytes=40_000)
    loaded, report = LlavaForConditionalGeneration.from_pretrained(tmp_path, output_loading_info=True)
    assert not report["missing_keys"] and not report["unexpected_keys"]
    assert all(loaded.state_dict()[key].equal(tensor) for key, tensor in model.state_dict().items())


def test_arrays_are_written_bit_for_bit_whatever_their_memory_layout(tmp_path):
    rng = np.random.default_rng(0)
    base = rng.normal(size=(6, 8)).astype(np.float32)
    arrays = {"turned": base.T, "strided": base[::2, 1:], "bf16": base.astype(ml_dtypes.bfloat16), "scalar": np.array(2, np.int32)}
    write_checkpoint(tmp_path, {key: lazy(array) for key, array in arrays.items()})
    checkpoint = CheckpointFiles.open(tmp_path)
    for key, array in arrays.items():
        assert checkpoint.read(key).dtype == array.dtype and np.array_equal(checkpoint.read(key), array)


def test_a_given_split_is_followed(tmp_path):
    split = {"a": "model-00002-of-00002.safetensors", "b": "model-00001-of-00002.safetensors", "c": "model-00002-of-00002.safetensors"}
    write_split(tmp_path, {key: lazy(np.full(3, i, np.float32)) for i, key in enumerate(split)}, split)
    (tmp_path / INDEX_FILE).write_text(json.dumps({"weight_map": split}))
    checkpoint = CheckpointFiles.open(tmp_path)
    assert checkpoint.split == split
    assert [checkpoint.read(key)[0] for key in "abc"] == [0, 1, 2]


def test_tensors_are_made_shard_by_shard(tmp_path):
    """When a tensor is made, every earlier shard lies on disk and the tensors of later shards are not made yet."""
    seen = {}

    def make(key):
        seen[key] = {path.name for path in tmp_path.glob("model-*.safetensors")}
        return np.zeros(10, np.float32)

    write_checkpoint(tmp_path, {key: LazyTensor(40, lambda key=key: make(key)) for key in "abcdef"}, max_shard_bytes=80)
    first, second = (f"model-0000{i}-of-00003.safetensors" for i in (1, 2))
    assert seen == {"a": set(), "b": set(), "c": {first}, "d": {first}, "e": {first, second}, "f": {first, second}}


def test_a_new_folder_appears_only_when_it_is_complete(tmp_path):
    target = tmp_path / "deep" / "out"
    with new_folder(target) as made:
        (made / "a.txt").write_text("a")
        assert not target.exists() and made.parent.parent == target.parent
    assert names(target) == ["a.txt"]
    assert names(target.parent) == ["out"]


def test_nothing_is_left_when_writing_fails(tmp_path):
    def fail():
        with new_folder(tmp_path / "out") as made:
            (made / "a.txt").write_text("a")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fail()
    assert not list(tmp_path.iterdir())


def test_a_failed_replacement_keeps_the_old_folder(tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "old.txt").write_text("old")

    def fail():
        with new_folder(tmp_path / "out", replace=True):
            raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        fail()
    assert (tmp_path / "out" / "old.txt").read_text() == "old"
    assert names(tmp_path) == ["out"]


def test_filled_folders_and_files_are_not_overwritten(tmp_path):
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "a").touch()
    (tmp_path / "file").touch()
    (tmp_path / "empty").mkdir()
    for name, message in (("full", "not empty"), ("file", "is a file")):
        with pytest.raises(UserError, match=message), new_folder(tmp_path / name):
            pass
    with new_folder(tmp_path / "empty") as made:
        (made / "b").touch()
    with new_folder(tmp_path / "full", replace=True) as made:
        (made / "c").touch()
    assert names(tmp_path / "empty") == ["b"] and names(tmp_path / "full") == ["c"]


def test_a_new_folder_is_as_readable_as_any(tmp_path):
    with new_folder(tmp_path / "out") as made:
        write_checkpoint(made, {"a": lazy(np.zeros(1, np.float32))})
    (tmp_path / "plain").mkdir()
    (tmp_path / "plain" / "file").touch()
    assert (tmp_path / "out").stat().st_mode == (tmp_path / "plain").stat().st_mode
    assert (tmp_path / "out" / SINGLE_FILE).stat().st_mode == (tmp_path / "plain" / "file").stat().st_mode


def test_trees_are_copied_without_what_is_skipped(tmp_path):
    (tmp_path / "source" / "sub").mkdir(parents=True)
    for name in ("a.json", "sub/b.json", "sub/c.bin"):
        (tmp_path / "source" / name).write_bytes(name.encode())
    copy_tree(tmp_path / "source", tmp_path / "copy", skip=lambda path: path.suffix == ".bin")
    copied = {str(path.relative_to(tmp_path / "copy")): path.read_bytes() for path in (tmp_path / "copy").rglob("*.*")}
    assert copied == {"a.json": b"a.json", "sub/b.json": b"sub/b.json"}
