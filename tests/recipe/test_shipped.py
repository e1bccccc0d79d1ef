"""Every configuration that comes with the program is one that it accepts, and holds the published recipe where it says so."""

from pathlib import Path

import pytest

from jax_mdpo.core.errors import ConfigError
from jax_mdpo.recipe.configuration import read_settings
from jax_mdpo.recipe.shipped import find_config

CONFIGS = sorted((Path(__file__).parents[2] / "configs").glob("*.yaml"))


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.name)
def test_a_config_is_accepted(path):
    assert read_settings(path).out


@pytest.mark.parametrize("name", ["llava15_7b_mdpo.yaml", "llava15_7b_dpo.yaml"])
def test_the_published_recipe(name):
    """Wang et al. 2024, arXiv 2406.11839, and its code: rank 64, alpha 128, AdamW 1e-5 and 0.98, 10 % warm-up, 3 epochs, 4 × 8 pairs."""
    settings = read_settings(find_config(name))
    assert (settings.lora.r, settings.lora.lora_alpha, settings.lora.lora_dropout) == (64, 128, 0.0)
    optimizer = settings.optimizer
    assert (optimizer.learning_rate, optimizer.betas[1], optimizer.weight_decay, optimizer.warmup_ratio) == (1e-5, 0.98, 0.05, 0.1)
    assert optimizer.schedule == "cosine"
    assert (settings.epochs, settings.batch.pairs, settings.batch.accumulation) == (3, 32, 8)
    assert all(term.beta == 0.1 for term in settings.objectives)
    assert settings.model.dtype == "bfloat16"


def test_mdpo_is_three_terms_and_a_crop_of_a_fifth_at_most():
    settings = read_settings(find_config("llava15_7b_mdpo.yaml"))
    assert [term.label for term in settings.objectives] == ["dpo", "conditional", "anchor"]
    assert settings.hard_negative.area == (0.01, 0.2)
    assert settings.hard_negative.aspect == pytest.approx((3 / 4, 4 / 3))


def test_a_missing_config_is_named():
    with pytest.raises(ConfigError, match=r"absent\.yaml"):
        find_config("absent.yaml")
