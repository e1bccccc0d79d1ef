"""Targets, ranks and scalings against PEFT itself, on a torch LLaVA; and what PEFT lets pass in silence."""

import pytest
import torch_peft
from peft import LoraConfig

from jax_mdpo.core.config import validate
from jax_mdpo.core.errors import ConfigError
from jax_mdpo.lora.settings import LoRASettings
from jax_mdpo.lora.targets import Target, resolve_targets

DECODER = r"model\.language_model\.layers\.\d+\.(self_attn|mlp)\.\w+_proj"

SETTINGS = {
    "a name on decoder and tower": {"target_modules": ["q_proj"]},
    "several names": {"target_modules": ["q_proj", "fc1", "down_proj"]},
    "dotted names": {"target_modules": ["self_attn.v_proj", "linear_1"]},
    "a full name": {"target_modules": ["model.language_model.layers.1.mlp.up_proj"]},
    "the head by name": {"target_modules": ["lm_head", "o_proj"]},
    "an expression": {"target_modules": DECODER},
    "an expression is matched whole": {"target_modules": r".*language_model.*\.(q|v)_proj"},
    "all-linear": {"target_modules": "all-linear"},
    "all-linear in capitals": {"target_modules": "ALL-linear"},
    "all-linear with names excluded": {"target_modules": "all-linear", "exclude_modules": ["linear_1", "self_attn.q_proj"]},
    "an excluding expression": {"target_modules": ["q_proj", "v_proj"], "exclude_modules": r".*vision_tower.*"},
    "rank and alpha": {"target_modules": DECODER, "r": 4, "lora_alpha": 12},
    "rslora": {"target_modules": DECODER, "r": 6, "lora_alpha": 12, "use_rslora": True},
    "rank_pattern by name": {"target_modules": DECODER, "rank_pattern": {"q_proj": 3}},
    "rank_pattern by layer": {"target_modules": DECODER, "rank_pattern": {r"layers\.0\.mlp\.up_proj": 5, "up_proj": 7}},
    "the first pattern wins": {"target_modules": DECODER, "rank_pattern": {"up_proj": 7, r"layers\.0\.mlp\.up_proj": 5}},
    "a pattern is matched to the end": {"target_modules": DECODER, "rank_pattern": {r".*self_attn.*": 2}},
    "a pattern from the start": {"target_modules": DECODER, "rank_pattern": {r"^model.*\.q_proj": 2}},
    "alpha_pattern": {"target_modules": DECODER, "alpha_pattern": {"v_proj": 64}, "rank_pattern": {"v_proj": 2}},
    "patterns with rslora": {"target_modules": DECODER, "alpha_pattern": {"v_proj": 3}, "rank_pattern": {"k_proj": 2}, "use_rslora": True},
    "one layer": {"target_modules": ["q_proj", "fc2"], "layers_to_transform": 1},
    "a list of layers": {"target_modules": ["q_proj", "fc2"], "layers_to_transform": [0, 2]},
    "no layers means all": {"target_modules": ["q_proj"], "layers_to_transform": []},
    "layers of the decoder": {"target_modules": ["q_proj"], "layers_to_transform": [1], "layers_pattern": "language_model.layers"},
    "several layer patterns": {"target_modules": ["q_proj"], "layers_to_transform": [0], "layers_pattern": ["blocks", "encoder.layers"]},
    "a full name outside the layers": {
        "target_modules": ["model.language_model.layers.0.mlp.up_proj", "q_proj"],
        "layers_to_transform": [1],
    },
}


@pytest.mark.parametrize("fields", SETTINGS.values(), ids=SETTINGS.keys())
def test_modules_ranks_and_scalings_are_those_of_peft(fields, linear_names, torch_llava):
    ours = resolve_targets(LoRASettings(**fields), linear_names)
    assert ours == torch_peft.targets(torch_peft.attach(torch_llava, LoraConfig(**fields)))


def test_defaults_are_those_of_peft():
    ours, theirs = LoRASettings(), LoraConfig()
    shared = ("r", "lora_alpha", "lora_dropout", "target_modules", "exclude_modules", "rank_pattern", "alpha_pattern", "use_rslora")
    assert {name: getattr(ours, name) for name in shared} == {name: getattr(theirs, name) for name in shared}


def test_scaling_is_alpha_over_the_root_of_the_rank_with_rslora():
    settings = LoRASettings(target_modules=["a"], r=16, lora_alpha=2, use_rslora=True)
    assert resolve_targets(settings, ["x.a"]) == {"x.a": Target(16, 2, 2 / 4)}


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"target_modules": ["q_porj"]}, "did you mean 'q_proj'"),
        ({"target_modules": ["self_attn.q_prj"]}, r"did you mean 'self_attn\.q_proj'"),
        ({"target_modules": ["q_proj", "c_attn"]}, "no linear layer is called 'c_attn'"),
        ({"target_modules": "q_proj"}, "matches no linear layer"),
        ({"target_modules": ["q_proj"], "exclude_modules": ["visual"]}, "exclude_modules.*'visual'"),
        ({"target_modules": ["q_proj"], "exclude_modules": "tower"}, "exclude_modules.*'tower'"),
        ({"target_modules": ["q_proj"], "exclude_modules": ["q_proj"]}, "leave no module"),
        ({"target_modules": ["q_proj"], "layers_to_transform": [99]}, "leave no module"),
        ({"target_modules": ["q_proj"], "rank_pattern": {"k_proj": 4}}, "rank_pattern: 'k_proj' matches no adapted module"),
        ({"target_modules": ["q_proj"], "alpha_pattern": {"qproj": 4}}, "did you mean 'q_proj'"),
        ({}, "target_modules is not set"),
    ],
)
def test_a_name_that_matches_nothing_is_an_error(fields, message, linear_names):
    with pytest.raises(ConfigError, match=message):
        resolve_targets(LoRASettings(**fields), linear_names)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"r": 0}, "at least 1"),
        ({"rank_pattern": {"q_proj": 0}}, "at least 1"),
        ({"lora_alpha": 0}, "above 0"),
        ({"lora_dropout": 1.0}, "below 1"),
        ({"target_modules": "(q_proj"}, "not a regular expression"),
        ({"rank_pattern": {"*": 4}}, "not a regular expression"),
        ({"target_modules": "all-linear", "layers_to_transform": [0]}, "as a list"),
        ({"layers_pattern": "layers"}, "without layers_to_transform"),
        ({"rank": 8}, "unknown key 'rank'"),
        ({"lora_r": 8}, "unknown key 'lora_r'"),
        ({"target_modules": 3}, "target_modules"),
    ],
)
def test_settings_that_contradict_themselves_are_refused(fields, message):
    with pytest.raises(ConfigError, match=message):
        validate(LoRASettings, fields, where="lora")
