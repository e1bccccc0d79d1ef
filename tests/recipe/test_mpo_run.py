"""MPO on a tiny model: the loss of the first step is known, and BCO's mean runs from step to step, not from part to part."""

import json
import math

import pytest
import yaml
from end_to_end.world import write_checkpoint, write_config, write_pairs

from jax_mdpo.models.plan import Forward, plan
from jax_mdpo.objectives.orpo import ORPO
from jax_mdpo.objectives.sft import SFT
from jax_mdpo.objectives.simpo import SimPO
from jax_mdpo.recipe.training import train

MPO = [{"name": "dpo", "weight": 0.8}, {"name": "bco", "weight": 0.2}, {"name": "sft"}]


@pytest.fixture(scope="module")
def steps(tmp_path_factory) -> list[dict]:
    """The log of four steps, each of two parts."""
    folder = tmp_path_factory.mktemp("mpo")
    model, pairs = write_checkpoint(folder / "model"), write_pairs(folder / "data", 8)
    config = write_config(
        folder / "mpo.yaml",
        model,
        pairs,
        objectives=MPO,
        hard_negative=None,
        data={"path": str(pairs), "length_multiple": 32, "workers": 0},
        lora={"r": 4, "lora_alpha": 8},
        epochs=2,
    )
    run = train(yaml.safe_load(config.read_text(encoding="utf-8")))
    return [json.loads(line) for line in (run / "metrics.jsonl").read_text(encoding="utf-8").splitlines()]


def test_it_starts_at_its_known_loss(steps: list[dict]):
    assert steps[0]["loss"] == pytest.approx(0.8 * math.log(2) + 0.2 * 2 * math.log(2) + steps[0]["loss/sft"], rel=1e-5)
    assert steps[0]["rewards/chosen_positive"] == 1  # all rewards are 0


def test_delta_is_the_mean_reward_of_the_steps_before(steps: list[dict]):
    rewards = [log["bco/reward"] for log in steps]
    assert len(steps) == 4 and any(abs(reward) > 1e-3 for reward in rewards)
    for place, log in enumerate(steps):
        assert log["bco/delta"] == pytest.approx(sum(rewards[:place]) / max(place, 1), rel=1e-4, abs=1e-7)


def test_no_reference_runs_where_no_term_reads_it():
    needs = (need for term in (SimPO(), ORPO(), SFT()) for need in term.needs())
    assert plan(needs).forwards == (Forward("policy", True, ("clean",), ("chosen", "rejected")),)
