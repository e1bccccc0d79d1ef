"""One name for the three spellings of a LLaVA checkpoint's keys."""

import pytest
from tiny_llava import stored_key, tiny_llava

from jax_mdpo.core.errors import WeightsError
from jax_mdpo.weights.key_layouts import by_canonical, canonical

LAYOUTS = ["hub", "hub_vision", "model"]


@pytest.mark.parametrize("layout", LAYOUTS)
def test_canonical_names_are_those_of_transformers(layout):
    for name in tiny_llava().state_dict():
        assert canonical(stored_key(name, layout)) == name
        module = name.rpartition(".")[0]
        assert canonical(stored_key(module + ".", layout).removesuffix(".")) == module


@pytest.mark.parametrize("layout", LAYOUTS)
def test_the_way_back_leads_to_the_stored_key(layout):
    names = list(tiny_llava().state_dict())
    assert by_canonical(stored_key(name, layout) for name in names) == {name: stored_key(name, layout) for name in names}


def test_tower_modules_of_transformers_4_have_the_same_name():
    assert canonical("model.vision_tower.vision_model.encoder.layers.0.mlp.fc1") == "model.vision_tower.encoder.layers.0.mlp.fc1"


def test_canonical_names_stay_as_they_are():
    for name in (*tiny_llava().state_dict(), "lm_head", "something.else", "language_modelling.x"):
        assert canonical(canonical(name)) == canonical(name) == name


def test_two_spellings_of_one_tensor_are_refused():
    with pytest.raises(WeightsError, match=r"language_model\.lm_head\.weight"):
        by_canonical(["lm_head.weight", "language_model.lm_head.weight"])
