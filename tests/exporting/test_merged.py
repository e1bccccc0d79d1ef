"""The merged checkpoint against PEFT's own merge, and the source's files and tensors untouched by it."""

import json

import needs_torch  # noqa: F401
import numpy as np
import pytest
import torch
import torch_peft
from peft import LoraConfig
from safetensors.numpy import load_file
from tiny_llava import stored_key, write_tiny_llava
from transformers import LlavaForConditionalGeneration

from jax_mdpo.core.errors import UserError, WeightsError
from jax_mdpo.exporting.merged import export_merged, merge
from jax_mdpo.lora.peft_files import read_adapter
from jax_mdpo.lora.targets import target
from jax_mdpo.weights.files import CheckpointFiles

DECODER = r"model\.language_model\.layers\.\d+\.(self_attn|mlp)\.\w+_proj"
OTHER_FILES = {
    "tokenizer.json": b'{"version": "1.0"}\r\n',
    "tokenizer.model": bytes(range(256)),
    "chat_template.jinja": b"{{ messages }}",
    "processor_config.json": b"{}",
    "templates/second.jinja": b"{{ x }}",
}
LEFT_OUT = {
    "pytorch_model.bin": b"pickle",
    "pytorch_model.bin.index.json": b"{}",
    "modeling_llava.py": b"import os",
    "model.gguf": b"GGUF",
    "onnx/model.onnx": b"onnx",
    ".cache/huggingface/lock": b"",
}


def contents(folder):
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def load(folder):
    model, report = LlavaForConditionalGeneration.from_pretrained(folder, dtype="auto", output_loading_info=True)
    assert not report["missing_keys"] and not report["unexpected_keys"] and not report["mismatched_keys"]
    return model.eval()


def linear_names(model):
    return [name for name, module in model.named_modules() if isinstance(module, torch.nn.Linear)]


def adapter_for(source, folder, config):
    """A random adapter, saved by PEFT and read back, and PEFT's model with it."""
    model = load(source)
    adapted = torch_peft.attach(model, config, seed=5)
    adapted.save_pretrained(folder, save_embedding_layers=False)
    return read_adapter(folder, linear_names(model)), adapted


CASES = [("hub", "float32", False), ("hub_vision", "bfloat16", True), ("model", "bfloat16", False), ("hub", "float16", True)]


@pytest.mark.parametrize(("layout", "dtype", "sharded"), CASES, ids=str)
def test_merged_weights_are_those_of_peft_and_all_else_is_the_source(tmp_path, layout, dtype, sharded):
    source = write_tiny_llava(tmp_path / "source", layout=layout, dtype=dtype, sharded=sharded)
    patterns = {"rank_pattern": {"q_proj": 3}, "alpha_pattern": {"down_proj": 32}}
    adapter, adapted = adapter_for(source, tmp_path / "adapter", LoraConfig(target_modules=DECODER, r=4, **patterns))
    export_merged(source, tmp_path / "out", factors=adapter.factors, targets=adapter.targets)

    before, after = CheckpointFiles.open(source), CheckpointFiles.open(tmp_path / "out")
    assert after.tensors == before.tensors  # the same keys, files, shapes and dtypes
    assert contents(source).keys() == contents(tmp_path / "out").keys()
    touched = {stored_key(f"{name}.weight", layout) for name in adapter.targets}
    changed = {key for key in before.tensors if before.read(key).tobytes() != after.read(key).tobytes()}
    assert changed == touched and len(touched) == 2 * 7

    expected, merged = torch_peft.merged(adapted).state_dict(), load(tmp_path / "out").state_dict()
    assert merged.keys() == expected.keys()
    for name, tensor in merged.items():  # the product B @ A may be summed in another order: one unit in the last place
        assert tensor.dtype == expected[name].dtype
        torch.testing.assert_close(tensor, expected[name], rtol=2 * torch.finfo(tensor.dtype).eps, atol=1e-6)


def test_merged_logits_are_those_of_the_adapted_model(tmp_path):
    source = write_tiny_llava(tmp_path / "source", layout="hub")
    config = LoraConfig(target_modules=["q_proj", "fc2", "linear_2", "up_proj", "lm_head"], r=3, use_rslora=True)
    adapter, adapted = adapter_for(source, tmp_path / "adapter", config)
    export_merged(source, tmp_path / "out", factors=adapter.factors, targets=adapter.targets)
    inputs = {"input_ids": torch.tensor([[1, *[98] * 16, 5, 6, 7]]), "pixel_values": torch.randn(1, 3, 28, 28)}
    with torch.no_grad():
        merged, expected, base = (model(**inputs).logits for model in (load(tmp_path / "out"), adapted, load(source)))
    torch.testing.assert_close(merged, expected, rtol=1e-4, atol=1e-4)
    assert (merged - base).abs().max() > 0.1


def test_without_a_change_every_file_is_the_source_byte_for_byte(tmp_path):
    source = write_tiny_llava(tmp_path / "source", layout="hub", dtype="bfloat16", sharded=True)
    adapter, _ = adapter_for(source, tmp_path / "adapter", LoraConfig(target_modules=DECODER, r=2))
    zero = {name: (a, np.zeros_like(b)) for name, (a, b) in adapter.factors.items()}
    export_merged(source, tmp_path / "out", factors=zero, targets=adapter.targets)
    assert contents(tmp_path / "out") == contents(source)


def test_other_files_are_copied_and_stale_weights_and_code_are_not(tmp_path):
    source = write_tiny_llava(tmp_path / "source")
    for name, content in (OTHER_FILES | LEFT_OUT).items():
        (source / name).parent.mkdir(parents=True, exist_ok=True)
        (source / name).write_bytes(content)
    (source / "linked.txt").symlink_to(source / "tokenizer.json")  # hub caches are folders of links
    export_merged(source, tmp_path / "out", factors={}, targets={})
    written = contents(tmp_path / "out")
    assert written.keys() == OTHER_FILES.keys() | {"config.json", "model.safetensors", "linked.txt"}
    assert all(written[name] == content for name, content in OTHER_FILES.items())
    assert not (tmp_path / "out" / "linked.txt").is_symlink()


def test_the_sum_is_made_in_float32_and_rounded_once():
    a, b = np.full((1, 1), 3.0, np.float32), np.full((1, 1), 2.0**-9, np.float32)
    weight = np.full((1, 1), 1.0, np.float16)
    assert merge(weight, a, b, 0.5) == np.float16(1 + 0.5 * 3 * 2.0**-9)
    assert merge(weight, a, b, 0.5).dtype == np.float16


def test_an_adapter_of_a_tied_head_is_refused(tmp_path):
    source = write_tiny_llava(tmp_path / "source", tie=True)
    factors = {"lm_head": (np.ones((2, 32), np.float32), np.ones((99, 2), np.float32))}
    with pytest.raises(WeightsError, match="lm_head has no weight of its own: it is tied"):
        export_merged(source, tmp_path / "out", factors=factors, targets={"lm_head": target(2, 2, use_rslora=False)})
    assert not (tmp_path / "out").exists()


def test_a_stored_head_is_tied_where_the_config_says_so(tmp_path):
    source = write_tiny_llava(tmp_path / "source")
    config = json.loads((source / "config.json").read_text())
    (source / "config.json").write_text(json.dumps(config | {"tie_word_embeddings": True}))
    factors = {"lm_head": (np.ones((2, 32), np.float32), np.ones((99, 2), np.float32))}
    with pytest.raises(WeightsError, match="tied"):
        export_merged(source, tmp_path / "out", factors=factors, targets={"lm_head": target(2, 2, use_rslora=False)})


def test_adapters_of_another_model_are_refused_with_all_faults(tmp_path):
    source = write_tiny_llava(tmp_path / "source")
    pair = (np.ones((2, 32), np.float32), np.ones((31, 2), np.float32))
    names = ["model.language_model.layers.0.self_attn.q_proj", "model.language_model.layers.9.self_attn.q_proj"]
    with pytest.raises(WeightsError) as error:
        plain = target(2, 2, use_rslora=False)
        export_merged(source, tmp_path / "out", factors=dict.fromkeys(names, pair), targets=dict.fromkeys(names, plain))
    assert "layers.0.self_attn.q_proj: the weight is (32, 32), the adapter (31, 32)" in str(error.value)
    assert "layers.9.self_attn.q_proj has no weight of its own" in str(error.value)
    assert [path.name for path in tmp_path.iterdir()] == ["source"]


@pytest.mark.parametrize("place", [".", "merged", "../filled"])
def test_nothing_is_written_into_the_source_or_over_other_files(tmp_path, place):
    source = write_tiny_llava(tmp_path / "source")
    (tmp_path / "filled").mkdir()
    (tmp_path / "filled" / "notes.txt").write_text("mine")
    before = contents(tmp_path)
    with pytest.raises(UserError, match=r"source checkpoint|not empty"):
        export_merged(source, source / place, factors={}, targets={})
    assert contents(tmp_path) == before


def test_nothing_is_left_of_an_export_that_fails(tmp_path, monkeypatch):
    source = write_tiny_llava(tmp_path / "source", sharded=True)

    def fail(*_args, **_options):
        raise OSError("disk full")

    monkeypatch.setattr("jax_mdpo.weights.writing.save_file", fail)
    with pytest.raises(OSError, match="disk full"):
        export_merged(source, tmp_path / "out", factors={}, targets={})
    assert [path.name for path in tmp_path.iterdir()] == ["source"]


def test_weights_are_read_by_transformers_as_written(tmp_path):
    source = write_tiny_llava(tmp_path / "source", layout="hub_vision", dtype="bfloat16")
    export_merged(source, tmp_path / "out", factors={}, targets={})
    stored = load_file(tmp_path / "out" / "model.safetensors")
    loaded = load(tmp_path / "out").state_dict()
    for name, tensor in loaded.items():
        assert np.array_equal(tensor.float().numpy(), stored[stored_key(name, "hub_vision")].astype(np.float32)), name
