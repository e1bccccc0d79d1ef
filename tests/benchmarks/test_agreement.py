"""The torch recipe that the benchmarks compare with computes what jax_mdpo computes; and what does not is not reported."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import needs_torch  # noqa: F401
import pytest
import torch

from benchmarks.harness.compare import TOLERANCES, agreed
from benchmarks.harness.sizes import TINY
from benchmarks.harness.world import write_world
from benchmarks.programs.ours import base_of, measure
from benchmarks.programs.torch_recipe import STYLES, Recipe

SMALLEST = replace(
    TINY, text={**TINY.text, "num_hidden_layers": 2}, vision={**TINY.vision, "num_hidden_layers": 2}, prompt=6, response=5, rank=4
)
PAIRS = 2

pytestmark = pytest.mark.filterwarnings("ignore::FutureWarning")  # transformers' new names for what 5.17 calls gradient checkpointing


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("world")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("JAX_MDPO_CACHE", str(folder / "cache"))
        write_world(folder, SMALLEST, "float32", 2 * PAIRS)
    return folder


@pytest.fixture(scope="module")
def first(world: Path) -> dict[str, Any]:
    """jax_mdpo's first step."""
    spec = {"folder": str(world), "dtype": "float32", "objective": "mdpo", "feed": "ready", "warm_up": 1, "steps": 0, "batches": [PAIRS]}
    return measure(spec, PAIRS, base_of(spec))["first"]


@pytest.mark.parametrize("style", STYLES)
def test_the_recipe_has_our_loss_and_gradient(world: Path, first: dict[str, Any], style: str) -> None:
    check = Recipe(world, torch.float32, STYLES[style]).check(first["ids"])
    assert agreed("recipe", check, first, "float32")["theirs"] == check


@pytest.mark.parametrize("quantity", TOLERANCES["float32"])
def test_a_program_that_computes_something_else_ends_the_comparison(quantity: str) -> None:
    ours = {"ids": [0], "loss": 2.0, "chosen": -5.0, "rejected": -6.0, "gradient": 1.0}
    with pytest.raises(SystemExit, match=f"nothing is reported: {quantity}"):
        agreed("other", {**ours, quantity: 1.01 * ours[quantity]}, ours, "float32")
