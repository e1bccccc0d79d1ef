"""PEFT adapter folders: what PEFT wrote is read, what is written here PEFT loads onto exactly the same modules."""

import json
import math

import ml_dtypes
import needs_torch  # noqa: F401
import numpy as np
import pytest
import torch
import torch_peft
from peft import LoraConfig
from safetensors.numpy import load_file, save_file
from tiny_llava import tiny_llava, write_tiny_llava

from jax_mdpo.core.errors import UserError, WeightsError
from jax_mdpo.lora.peft_files import CONFIG_FILE, WEIGHTS_FILE, read_adapter, write_adapter
from jax_mdpo.lora.settings import LoRASettings
from jax_mdpo.lora.targets import resolve_targets, settings_of, target
from jax_mdpo.weights.files import CheckpointFiles

DECODER = r"model\.language_model\.layers\.\d+\.(self_attn|mlp)\.\w+_proj"
PATTERNS = {"rank_pattern": {"q_proj": 3, r"layers\.1\.mlp\.up_proj": 6}, "alpha_pattern": {"q_proj": 5, "down_proj": 32}}
CONFIGS = {
    "plain": {"target_modules": DECODER, "r": 4, "lora_alpha": 8},
    "tower and projector": {"target_modules": ["q_proj", "fc1", "linear_1"], "r": 4},
    "patterns": {"target_modules": DECODER, "r": 4, **PATTERNS},
    "rslora with patterns": {"target_modules": DECODER, "r": 4, "use_rslora": True, **PATTERNS},
    "all-linear": {"target_modules": "all-linear", "r": 2, "lora_dropout": 0.25},
}


@pytest.fixture(params=CONFIGS.values(), ids=CONFIGS.keys())
def peft_model(request, torch_llava):
    return torch_peft.attach(torch_llava, LoraConfig(**request.param), seed=3)


@pytest.fixture
def written(tmp_path, torch_llava):
    """An adapter folder by PEFT, to be spoilt."""
    torch_peft.attach(torch_llava, LoraConfig(target_modules=DECODER, r=4), seed=3).save_pretrained(tmp_path / "peft")
    return tmp_path / "peft"


def edit_config(folder, **fields):
    config = json.loads((folder / CONFIG_FILE).read_text())
    (folder / CONFIG_FILE).write_text(json.dumps(config | fields))


def rename_keys(folder, rename):
    save_file({rename(key): array for key, array in load_file(folder / WEIGHTS_FILE).items()}, folder / WEIGHTS_FILE)


def assert_same_factors(ours, theirs):
    assert ours.keys() == theirs.keys()
    for name, (a, b) in ours.items():
        assert np.array_equal(a, np.asarray(theirs[name][0])) and np.array_equal(b, np.asarray(theirs[name][1])), name


def test_what_peft_wrote_is_read(tmp_path, peft_model, linear_names):
    peft_model.save_pretrained(tmp_path / "peft")
    read = read_adapter(tmp_path / "peft", linear_names)
    assert read.targets == torch_peft.targets(peft_model)
    assert_same_factors(read.factors, torch_peft.factors(peft_model))
    assert resolve_targets(read.settings, linear_names) == read.targets
    assert read.settings.lora_dropout == peft_model.peft_config["default"].lora_dropout


@pytest.mark.filterwarnings("ignore:the adapter's modules differ in scaling")
def test_what_is_written_here_peft_loads_onto_the_same_modules(tmp_path, peft_model, torch_llava, linear_names):
    peft_model.save_pretrained(tmp_path / "peft")
    read = read_adapter(tmp_path / "peft", linear_names)
    write(tmp_path / "ours", read)
    loaded = torch_peft.load(torch_llava, tmp_path / "ours")
    assert torch_peft.targets(loaded) == torch_peft.targets(peft_model)
    assert_same_factors(read.factors, torch_peft.factors(loaded))
    again = read_adapter(tmp_path / "ours", linear_names)
    assert again.targets == read.targets and again.settings == read.settings
    assert load_file(tmp_path / "ours" / WEIGHTS_FILE).keys() == load_file(tmp_path / "peft" / WEIGHTS_FILE).keys()


def test_many_full_names_stay_those_modules(tmp_path):
    """From 20 names on PEFT shortens the list by itself; the tower's layers of the same names must stay out."""
    model = tiny_llava(num_layers=4)
    adapted = torch_peft.attach(model, LoraConfig(target_modules=DECODER, r=2), seed=3)
    adapted.save_pretrained(tmp_path / "peft")
    linear_names = [name for name, module in model.named_modules() if isinstance(module, torch.nn.Linear)]
    write(tmp_path / "ours", read_adapter(tmp_path / "peft", linear_names))
    loaded = torch_peft.targets(torch_peft.load(model, tmp_path / "ours"))
    assert loaded == torch_peft.targets(adapted) and len(loaded) == 4 * 7


def write(folder, read, **options):
    write_adapter(
        folder,
        factors=read.factors,
        targets=read.targets,
        base_model="llava-hf/llava-1.5-7b-hf",
        lora_dropout=read.settings.lora_dropout,
        **options,
    )


SPELLINGS = {
    "hub style": lambda key: key.replace("base_model.model.model.language_model.", "base_model.model.language_model.model."),
    "without the prefix": lambda key: key.removeprefix("base_model.model."),
    "with the adapter's name": lambda key: key.replace(".weight", ".default.weight"),
}


@pytest.mark.parametrize("rename", SPELLINGS.values(), ids=SPELLINGS.keys())
def test_keys_are_read_in_every_spelling(written, linear_names, rename):
    expected = read_adapter(written, linear_names)
    rename_keys(written, rename)
    read = read_adapter(written, linear_names)
    assert read.targets == expected.targets
    assert_same_factors(read.factors, expected.factors)


def test_tower_keys_are_read_in_every_spelling(tmp_path, torch_llava, linear_names):
    adapted = torch_peft.attach(torch_llava, LoraConfig(target_modules=["fc1"], r=2), seed=3)
    adapted.save_pretrained(tmp_path)
    rename_keys(tmp_path, lambda key: key.replace("model.vision_tower.", "vision_tower.vision_model."))
    assert_same_factors(read_adapter(tmp_path, linear_names).factors, torch_peft.factors(adapted))


@pytest.mark.filterwarnings("ignore:Setting `save_embedding_layers` to `True`")
def test_the_copy_of_the_head_that_peft_stores_is_passed_over_where_it_is_one(tmp_path, torch_llava, linear_names):
    adapted = torch_peft.attach(torch_llava, LoraConfig(target_modules=["lm_head"], r=2), seed=3)
    adapted.save_pretrained(tmp_path / "peft")
    same = CheckpointFiles.open(write_tiny_llava(tmp_path / "same", layout="hub"))
    other = CheckpointFiles.open(write_tiny_llava(tmp_path / "other", seed=1))
    assert_same_factors(read_adapter(tmp_path / "peft", linear_names, base=same).factors, torch_peft.factors(adapted))
    for base in (other, None):
        with pytest.raises(WeightsError, match=r"lm_head.base_layer.weight is not the base model's weight"):
            read_adapter(tmp_path / "peft", linear_names, base=base)


def test_stored_shapes_decide_the_rank_and_the_scaling(written, linear_names):
    edit_config(written, r=64, lora_alpha=8)
    assert {target[:] for target in read_adapter(written, linear_names).targets.values()} == {(4, 8, 8 / 4)}


def test_patterns_written_for_stored_names_are_honoured(written, linear_names):
    rename_keys(written, SPELLINGS["hub style"])
    edit_config(written, alpha_pattern={r"^language_model\.model\.layers\.0\.mlp\.up_proj": 40})
    targets = read_adapter(written, linear_names).targets
    assert targets.pop("model.language_model.layers.0.mlp.up_proj").scaling == 40 / 4
    assert {target.scaling for target in targets.values()} == {8 / 4}


@pytest.mark.parametrize(
    "fields",
    [
        {"use_dora": True},
        {"modules_to_save": ["lm_head"]},
        {"bias": "lora_only"},
        {"lora_bias": True},
        {"fan_in_fan_out": True},
        {"trainable_token_indices": [3]},
        {"target_parameters": ["mlp.experts"]},
        {"layer_replication": [[0, 2]]},
        {"alora_invocation_tokens": [1]},
        {"megatron_config": {"a": 1}},
        {"init_lora_weights": "pissa_niter_4"},
        {"init_lora_weights": "olora"},
        {"a_feature_of_tomorrow": True},
    ],
    ids=str,
)
def test_features_that_change_the_meaning_are_refused_by_name(written, linear_names, fields):
    edit_config(written, **fields)
    with pytest.raises(WeightsError, match=next(iter(fields))):
        read_adapter(written, linear_names)


def test_other_kinds_of_adapter_are_refused(written, linear_names):
    edit_config(written, peft_type="IA3")
    with pytest.raises(WeightsError, match="IA3"):
        read_adapter(written, linear_names)


def test_a_dora_adapter_of_peft_is_refused(tmp_path, torch_llava, linear_names):
    torch_peft.attach(torch_llava, LoraConfig(target_modules=DECODER, use_dora=True)).save_pretrained(tmp_path)
    with pytest.raises(WeightsError, match="use_dora"):
        read_adapter(tmp_path, linear_names)


def test_all_keys_that_do_not_fit_are_listed(written, linear_names):
    def spoil(key):
        key = key.replace("layers.1.mlp.up_proj.lora_A", "layers.7.mlp.up_proj.lora_A")
        return key.replace("layers.0.mlp.up_proj.lora_B.weight", "layers.0.mlp.up_proj.lora_magnitude_vector")

    rename_keys(written, spoil)
    with pytest.raises(WeightsError) as error:
        read_adapter(written, linear_names)
    for fault in (
        "layers.7.mlp.up_proj.lora_A.weight fits no linear layer",
        "layers.1.mlp.up_proj has no lora_A",
        "layers.0.mlp.up_proj.lora_magnitude_vector is not a LoRA factor",
        "layers.0.mlp.up_proj has no lora_B",
        "4 fault(s)",
    ):
        assert fault in str(error.value)


def test_halves_of_different_rank_are_refused(written, linear_names):
    arrays = load_file(written / WEIGHTS_FILE)
    key = next(key for key in arrays if "lora_A" in key)
    save_file(arrays | {key: arrays[key][:3].copy()}, written / WEIGHTS_FILE)
    with pytest.raises(WeightsError, match=r"A \(3, \d+\) and B \(\d+, 4\)"):
        read_adapter(written, linear_names)


def test_a_factor_stored_twice_is_refused(written, linear_names):
    arrays = load_file(written / WEIGHTS_FILE)
    key = next(iter(arrays))
    save_file(arrays | {SPELLINGS["without the prefix"](key): arrays[key]}, written / WEIGHTS_FILE)
    with pytest.raises(WeightsError, match="stored twice"):
        read_adapter(written, linear_names)


def test_pickled_adapters_are_refused(written, linear_names):
    (written / WEIGHTS_FILE).rename(written / "adapter_model.bin")
    with pytest.raises(WeightsError, match="pickled"):
        read_adapter(written, linear_names)


@pytest.mark.parametrize(
    ("file", "content", "message"),
    [
        (CONFIG_FILE, None, "no PEFT adapter"),
        (CONFIG_FILE, b"{", "not JSON"),
        (CONFIG_FILE, b"[]", "not an adapter's configuration"),
        (WEIGHTS_FILE, None, f"no {WEIGHTS_FILE}"),
        (WEIGHTS_FILE, b"", "cannot be read"),
        (WEIGHTS_FILE, b"\x10\x00\x00\x00\x00\x00\x00\x00{}", "cannot be read"),
    ],
)
def test_broken_folders_are_refused(written, linear_names, file, content, message):
    (written / file).unlink()
    if content is not None:
        (written / file).write_bytes(content)
    with pytest.raises(WeightsError, match=message):
        read_adapter(written, linear_names)


def test_values_of_a_wrong_type_are_refused_by_name(written, linear_names):
    edit_config(written, lora_alpha="much")
    with pytest.raises(UserError, match="lora_alpha"):
        read_adapter(written, linear_names)


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_factors_can_be_stored_in_half_precision(written, tmp_path, linear_names, torch_llava, dtype):
    read = read_adapter(written, linear_names)
    write(tmp_path / "ours", read, dtype=dtype)
    half = {"bfloat16": ml_dtypes.bfloat16, "float16": np.float16}[dtype]
    stored = load_file(tmp_path / "ours" / WEIGHTS_FILE)
    name = "model.language_model.layers.0.self_attn.q_proj"
    assert {array.dtype for array in stored.values()} == {np.dtype(half)}
    assert np.array_equal(stored[f"base_model.model.{name}.lora_A.weight"], read.factors[name][0].astype(half))
    torch_peft.load(torch_llava, tmp_path / "ours")


def test_a_filled_folder_is_only_replaced_on_demand(written, tmp_path, linear_names):
    read = read_adapter(written, linear_names)
    target = tmp_path / "ours"
    target.mkdir()
    (target / "notes.txt").write_text("mine")
    with pytest.raises(UserError, match="not empty"):
        write(target, read)
    assert [path.name for path in target.iterdir()] == ["notes.txt"]
    write(target, read, replace=True)
    assert sorted(path.name for path in target.iterdir()) == ["README.md", CONFIG_FILE, WEIGHTS_FILE]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["ours", "peft"]


def assert_meets_vllm_rules(folder, max_lora_rank=16):
    """vLLM's rules for an adapter folder, as rules (vllm-project/vllm, Apache-2.0, read in November 2026).

    vllm/lora/peft_helper.py: r, lora_alpha and target_modules are there; bias is "none"; no modules_to_save, no DoRA; r is at most
    max_lora_rank. vllm/config/lora.py: max_lora_rank is one of the sizes below. vllm/lora/lora_model.py: adapter_model.safetensors;
    the last part of each module's name is a linear layer of the model, packed layers by the names of their parts. vllm/lora/utils.py:
    a key ends in lora_A.weight or lora_B.weight, and what is left after base_model.model. is renamed by the model's prefixes
    (model_executor/models/llava.py: model.language_model. becomes language_model.model., and so on).
    """
    config = json.loads((folder / CONFIG_FILE).read_text())
    assert {"r", "lora_alpha", "target_modules"} <= config.keys()
    assert config["bias"] == "none" and not config["modules_to_save"] and not config["use_dora"]
    assert max_lora_rank in {1, 8, 16, 32, 64, 128, 256, 320, 512} and config["r"] <= max_lora_rank
    suffixes = {"q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"}
    assert isinstance(config["target_modules"], list)
    assert {name.rsplit(".", 1)[-1] for name in config["target_modules"]} <= suffixes
    pairs = {}
    for key, array in load_file(folder / WEIGHTS_FILE).items():
        prefix, name, half = key[: len("base_model.model.")], *key[len("base_model.model.") :].removesuffix(".weight").rsplit(".", 1)
        assert prefix == "base_model.model." and key.endswith(".weight") and half in ("lora_A", "lora_B")
        assert name.startswith("model.language_model.layers.") and name.rsplit(".", 1)[-1] in suffixes
        pairs.setdefault(name, {})[half] = array
    assert all(pair.keys() == {"lora_A", "lora_B"} for pair in pairs.values())
    assert all(len(pair["lora_A"]) <= config["r"] for pair in pairs.values())
    return config, pairs


def test_a_written_adapter_meets_vllm_rules(written, tmp_path, linear_names):
    write(tmp_path / "ours", read_adapter(written, linear_names))
    config, pairs = assert_meets_vllm_rules(tmp_path / "ours")
    assert sorted(pairs) == config["target_modules"] and len(pairs) == 2 * 7


@pytest.mark.parametrize("use_rslora", [False, True])
def test_uniform_scaling_gives_vllm_the_update_that_peft_sees(tmp_path, torch_llava, linear_names, use_rslora):
    """vLLM scales every module by lora_alpha / r (or / sqrt(r)) of the config and reads no patterns."""
    config = LoraConfig(target_modules=DECODER, r=4, use_rslora=use_rslora, **PATTERNS)
    adapted = torch_peft.attach(torch_llava, config, seed=3)
    adapted.save_pretrained(tmp_path / "peft")
    write(tmp_path / "ours", read_adapter(tmp_path / "peft", linear_names), uniform_scaling=True)

    config, pairs = assert_meets_vllm_rules(tmp_path / "ours")
    scaling = config["lora_alpha"] / (math.sqrt(config["r"]) if use_rslora else config["r"])
    theirs, targets = torch_peft.factors(adapted), torch_peft.targets(adapted)
    loaded = torch_peft.load(torch_llava, tmp_path / "ours")
    for name, pair in pairs.items():
        a, b = theirs[name]
        expected = targets[name].scaling * (b @ a).numpy()
        np.testing.assert_allclose(scaling * pair["lora_B"] @ pair["lora_A"], expected, rtol=1e-5, atol=1e-6)
        delta = loaded.base_model.model.get_submodule(name).get_delta_weight("default")
        torch.testing.assert_close(delta.detach(), torch.from_numpy(expected), rtol=1e-5, atol=1e-6)


def test_differing_scalings_are_not_written_in_silence(tmp_path, torch_llava, linear_names):
    torch_peft.attach(torch_llava, LoraConfig(target_modules=DECODER, **PATTERNS)).save_pretrained(tmp_path / "peft")
    with pytest.warns(UserWarning, match="uniform_scaling"):
        write(tmp_path / "ours", read_adapter(tmp_path / "peft", linear_names))


def test_scalings_of_mixed_kinds_are_a_mistake_of_the_caller():
    mixed = {"a.q_proj": target(4, 8, use_rslora=False), "a.k_proj": target(4, 8, use_rslora=True)}
    with pytest.raises(ValueError, match="scalings"):
        settings_of(mixed)
    with pytest.raises(ValueError, match="use_rslora=False"):
        settings_of({"a.q_proj": target(4, 8, use_rslora=True)}, use_rslora=False)


def test_settings_follow_the_file(written, linear_names):
    edit_config(written, lora_alpha=12)
    settings = read_adapter(written, linear_names).settings
    expected = resolve_targets(LoRASettings(target_modules=DECODER, r=4, lora_alpha=12), linear_names)
    assert settings == LoRASettings(r=4, lora_alpha=12, target_modules=sorted(expected))
