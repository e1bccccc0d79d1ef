"""Import then export of weights is bit for bit what was stored, in each layout and dtype; and random weights load in transformers."""

import jax
import needs_torch  # noqa: F401
import pytest
from tiny_processor import write_tiny_processor
from transformers import LlavaForConditionalGeneration

from jax_mdpo.models.checkpoint import load_checkpoint
from jax_mdpo.models.families.llava.scratch import write_scratch
from jax_mdpo.models.saving import stored_tensors
from jax_mdpo.sharding.logical import make_mesh
from jax_mdpo.weights.files import CheckpointFiles
from jax_mdpo.weights.key_layouts import by_canonical


@pytest.mark.parametrize(
    ("layout", "dtype"), [("hub", "bfloat16"), ("hub_vision", "float16"), ("model", "float32")], ids=["hub", "hub_vision", "model"]
)
def test_import_then_export_is_bit_exact(write_checkpoint_folder, layout, dtype):
    folder = write_checkpoint_folder(layout=layout, dtype=dtype, sharded=True)
    checkpoint = load_checkpoint(folder, make_mesh(devices=jax.devices()[:1]))
    files = CheckpointFiles.open(folder)
    made = stored_tensors(checkpoint.base, checkpoint.table, name=by_canonical(files.tensors).__getitem__)
    assert set(made) == set(files.tensors)
    for key, tensor in made.items():
        stored, exported = files.read(key), tensor.make()
        assert exported.dtype == stored.dtype and tensor.nbytes == stored.nbytes
        assert exported.shape == stored.shape and exported.tobytes() == stored.tobytes(), key


def test_scratch_weights_load_in_transformers_without_a_missing_key(write_checkpoint_folder, tmp_path):
    source = write_checkpoint_folder(layout="model")
    (tmp_path / "config.json").write_bytes((source / "config.json").read_bytes())
    write_tiny_processor(tmp_path)
    write_scratch(tmp_path, seed=1)
    _, report = LlavaForConditionalGeneration.from_pretrained(tmp_path, output_loading_info=True)
    assert not any(report[kind] for kind in ("missing_keys", "unexpected_keys", "mismatched_keys"))
