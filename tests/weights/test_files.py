"""Checkpoint folders: only what is asked for is read, and everything that can be wrong with the files is said."""

import json
import re

import ml_dtypes
import needs_torch  # noqa: F401
import numpy as np
import pytest
import torch
from safetensors.numpy import save_file
from tiny_llava import tiny_llava, write_tiny_llava

from jax_mdpo.core.errors import WeightsError
from jax_mdpo.weights.files import INDEX_FILE, SINGLE_FILE, CheckpointFiles


@pytest.fixture
def sharded(tmp_path):
    """Three tensors in two shards, to be spoilt."""
    first = {"a": np.arange(12, dtype=np.float32).reshape(3, 4), "b": np.ones(2, np.float32)}
    save_file(first, tmp_path / "model-00001-of-00002.safetensors")
    save_file({"c": np.zeros((2, 2), np.float32)}, tmp_path / "model-00002-of-00002.safetensors")
    shards = {"a": 1, "b": 1, "c": 2}
    write_index(tmp_path, {key: f"model-0000{shard}-of-00002.safetensors" for key, shard in shards.items()})
    return tmp_path


def write_index(folder, weight_map):
    (folder / INDEX_FILE).write_text(json.dumps({"metadata": {}, "weight_map": weight_map}))


def edit_index(folder, **places):
    weight_map = json.loads((folder / INDEX_FILE).read_text())["weight_map"] | places
    write_index(folder, {key: file for key, file in weight_map.items() if file})


@pytest.mark.parametrize("files", [False, True], ids=["one file", "shards"])
@pytest.mark.parametrize("dtype", ["float32", "float16", "bfloat16"])
def test_every_tensor_is_read_as_transformers_wrote_it(tmp_path, files, dtype):
    folder = write_tiny_llava(tmp_path / "m", dtype=dtype, sharded=files)
    checkpoint = CheckpointFiles.open(folder)
    expected = tiny_llava(dtype=dtype).state_dict()
    assert checkpoint.tensors.keys() == expected.keys()
    for key, tensor in expected.items():
        array = checkpoint.read(key)
        assert array.shape == checkpoint.tensors[key].shape == tuple(tensor.shape)
        assert array.view(np.uint8).tobytes() == tensor.contiguous().view(torch.uint8).numpy().tobytes(), key
        assert checkpoint.tensors[key].nbytes == tensor.nbytes
    assert checkpoint.dtype == {"float32": "F32", "float16": "F16", "bfloat16": "BF16"}[dtype]
    assert len(set(checkpoint.split.values())) == (4 if files else 1)


@pytest.mark.parametrize(
    "index",
    [
        (slice(1, 3),),
        (slice(None), slice(2, 4)),
        (slice(0, 2), slice(None, 3)),
        (slice(-2, None), slice(None, -1)),
        (slice(0, 3, 2),),
        (),
        None,
    ],
    ids=str,
)
def test_slices_are_those_of_numpy(sharded, index):
    whole = np.arange(12, dtype=np.float32).reshape(3, 4)
    assert np.array_equal(CheckpointFiles.open(sharded).read("a", index), whole[index or ()])


def test_only_the_bytes_asked_for_are_read(tmp_path):
    """A file with a hole far larger than memory: reading it whole would fail."""
    rows, width = 2**25, 2**12
    header = json.dumps({"big": {"dtype": "F32", "shape": [rows, width], "data_offsets": [0, rows * width * 4]}}).encode()
    with (tmp_path / SINGLE_FILE).open("wb") as file:
        file.write(len(header).to_bytes(8, "little") + header)
        file.truncate(8 + len(header) + rows * width * 4)
    part = CheckpointFiles.open(tmp_path).read("big", (slice(rows - 2, rows), slice(0, 3)))
    assert part.shape == (2, 3) and not part.any()


def test_scalars_and_integers_are_read(tmp_path):
    arrays = {"step": np.array(7, np.int64), "scale": np.array(0.5, ml_dtypes.bfloat16), "mask": np.array([True, False])}
    save_file(arrays, tmp_path / SINGLE_FILE)
    checkpoint = CheckpointFiles.open(tmp_path)
    for key, array in arrays.items():
        assert np.array_equal(checkpoint.read(key), array) and checkpoint.read(key, ()).dtype == array.dtype


def test_dtype_is_that_of_most_bytes_not_of_most_tensors(tmp_path):
    norms = {f"norm{i}": np.ones(4, np.float32) for i in range(5)}
    save_file(norms | {"w": np.ones((16, 16), ml_dtypes.bfloat16)}, tmp_path / SINGLE_FILE)
    assert CheckpointFiles.open(tmp_path).dtype == "BF16"


def test_an_unknown_key_names_the_nearest(sharded):
    save_file({"model.norm.weight": np.ones(2, np.float32)}, sharded / SINGLE_FILE)
    with pytest.raises(WeightsError, match=r"did you mean 'model\.norm\.weight'"):
        CheckpointFiles.open(sharded).read("model.norm.wieght")


def test_all_faults_of_the_index_are_listed(sharded):
    edit_index(sharded, b=None, d="model-00002-of-00002.safetensors")
    with pytest.raises(WeightsError) as error:
        CheckpointFiles.open(sharded)
    for fault in (
        "2 fault(s)",
        "model-00002-of-00002.safetensors lacks d, which the index places there",
        "model-00001-of-00002.safetensors holds b, which the index does not name",
    ):
        assert fault in str(error.value)


def test_an_index_that_names_the_wrong_shard_is_a_fault(sharded):
    edit_index(sharded, c="model-00001-of-00002.safetensors", a="model-00002-of-00002.safetensors", b="model-00002-of-00002.safetensors")
    with pytest.raises(WeightsError, match="lacks c"):
        CheckpointFiles.open(sharded)


def test_a_tensor_stored_twice_is_refused(sharded):
    arrays = {"c": np.zeros((2, 2), np.float32), "b": np.zeros(2, np.float32)}
    save_file(arrays, sharded / "model-00002-of-00002.safetensors")
    with pytest.raises(
        WeightsError, match=re.escape("b stands in model-00001-of-00002.safetensors and in model-00002-of-00002.safetensors")
    ):
        CheckpointFiles.open(sharded)


def test_missing_shards_are_named(sharded):
    (sharded / "model-00002-of-00002.safetensors").unlink()
    with pytest.raises(
        WeightsError, match=re.escape("lacks 1 of the 2 weight files that its index names: model-00002-of-00002.safetensors")
    ):
        CheckpointFiles.open(sharded)


@pytest.mark.parametrize("kept", [0, 4, 40, -1])
def test_truncated_shards_are_named(sharded, kept):
    path = sharded / "model-00002-of-00002.safetensors"
    path.write_bytes(path.read_bytes()[:kept])
    with pytest.raises(WeightsError, match=re.escape("model-00002-of-00002.safetensors cannot be read")):
        CheckpointFiles.open(sharded)


@pytest.mark.parametrize("name", ["../outside.safetensors", "/etc/passwd", "sub/model.safetensors"])
def test_an_index_does_not_lead_out_of_its_folder(sharded, name):
    edit_index(sharded, a=name)
    with pytest.raises(WeightsError, match="outside its folder"):
        CheckpointFiles.open(sharded)


@pytest.mark.parametrize("text", ["{", "[]", "{}", '{"weight_map": {}}', '{"weight_map": {"a": 1}}', '{"weight_map": ["a"]}'])
def test_a_broken_index_is_named(sharded, text):
    (sharded / INDEX_FILE).write_text(text)
    with pytest.raises(WeightsError, match="is not a weight index"):
        CheckpointFiles.open(sharded)


def test_pickled_weights_are_refused_with_the_remedy(tmp_path):
    (tmp_path / "pytorch_model.bin").write_bytes(b"\x80\x04.")
    with pytest.raises(WeightsError, match=r"(?s)pytorch_model\.bin.*never read.*save_pretrained"):
        CheckpointFiles.open(tmp_path)


def test_folders_that_are_no_checkpoint_are_refused(tmp_path):
    with pytest.raises(WeightsError, match="an empty folder"):
        CheckpointFiles.open(tmp_path)
    with pytest.raises(WeightsError, match="is not a folder"):
        CheckpointFiles.open(tmp_path / "nowhere")
    (tmp_path / "adapter_config.json").write_text("{}")
    with pytest.raises(WeightsError, match="a PEFT adapter, not a model"):
        CheckpointFiles.open(tmp_path)


def test_dtypes_that_numpy_does_not_have_are_named(tmp_path):
    from safetensors.torch import save_file as save_torch

    save_torch({"w": torch.ones(3).to(torch.float8_e4m3fn)}, tmp_path / SINGLE_FILE)
    with pytest.raises(WeightsError, match="w has dtype F8_E4M3"):
        CheckpointFiles.open(tmp_path)


def test_a_file_without_tensors_is_refused(tmp_path):
    save_file({}, tmp_path / SINGLE_FILE)
    with pytest.raises(WeightsError, match="not a single tensor"):
        CheckpointFiles.open(tmp_path)
