"""The fixture itself: transformers loads every layout of it into one and the same model."""

import needs_torch  # noqa: F401
import pytest
import torch
from tiny_llava import tiny_llava, write_tiny_llava
from transformers import LlavaForConditionalGeneration


@pytest.mark.parametrize("layout", ["hub", "hub_vision", "model"])
@pytest.mark.parametrize("sharded", [False, True])
def test_transformers_loads_every_layout(tmp_path, layout, sharded):
    folder = write_tiny_llava(tmp_path / "m", layout=layout, sharded=sharded)
    loaded, report = LlavaForConditionalGeneration.from_pretrained(folder, output_loading_info=True)
    assert not report["missing_keys"] and not report["unexpected_keys"]
    expected = tiny_llava().state_dict()
    assert loaded.state_dict().keys() == expected.keys()
    assert all(torch.equal(tensor, expected[name]) for name, tensor in loaded.state_dict().items())
    assert len(list(folder.glob("*.safetensors"))) == (4 if sharded else 1)
