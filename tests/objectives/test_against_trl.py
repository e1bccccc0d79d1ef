"""The terms against TRL's own loss functions on the same log-probs, which against_trl/record.py has written down."""

import json
import math
from pathlib import Path
from typing import Any

import jax.numpy as jnp
import pytest
from evaluated import CLEAN_CHOSEN, CLEAN_REJECTED, evaluated

from jax_mdpo.objectives.bco import BCO
from jax_mdpo.objectives.dpo import DPO
from jax_mdpo.objectives.links import STRAIGHT
from jax_mdpo.objectives.orpo import ORPO
from jax_mdpo.objectives.pointwise import Pointwise
from jax_mdpo.objectives.simpo import SimPO
from jax_mdpo.objectives.term import Term, Views, remembered, started

RECORDED = json.loads((Path(__file__).parent / "against_trl" / "losses.json").read_text(encoding="utf-8"))
INPUTS = RECORDED["inputs"]
LOSSES = {"sigmoid": "sigmoid", "robust": "robust", "exo_pair": "exo", "hinge": "hinge", "ipo": "ipo"}
POINTWISE = {"nca_pair": "nca", "sppo_hard": "sppo", "apo_zero": "apo_zero", "apo_down": "apo_down"}
DIVERGENCES = {"reverse_kl": "reverse_kl", "js_divergence": "js", "alpha_divergence": "alpha"}


def term_of(case: dict[str, Any]) -> Term:
    """Our term for a case of TRL's."""
    loss = case.get("loss_type")
    if loss == "bco_pair":
        return BCO(beta=case["beta"])
    if loss in POINTWISE:
        return Pointwise(loss=POINTWISE[loss], beta=case["beta"])
    if case["trl"].startswith("CPO"):
        return SimPO(beta=case["beta"], gamma=case["gamma"])
    if case["trl"].startswith("ORPO"):
        return ORPO()
    divergence = DIVERGENCES[case.get("divergence", "reverse_kl")]
    alpha = case.get("coefficient")
    if alpha == 1:  # TRL has no forward_kl of that name in this version; α = 1 is it
        divergence, alpha = "forward_kl", None
    return DPO(
        beta=case["beta"],
        loss=LOSSES[loss],
        label_smoothing=case["label_smoothing"],
        length_normalised=case["averaged"],
        divergence=divergence,
        alpha=alpha,
    )


def views(delta: float = 0.0) -> Views:
    sums = [{CLEAN_CHOSEN: INPUTS[f"{model}_chosen"], CLEAN_REJECTED: INPUTS[f"{model}_rejected"]} for model in ("policy", "reference")]
    lengths = {CLEAN_CHOSEN: INPUTS["chosen_length"], CLEAN_REJECTED: INPUTS["rejected_length"]}
    memory = {"bco": {"delta": jnp.float32(delta), "steps": jnp.float32(1)}}
    return Views(evaluated(*sums, lengths).tokens, memory)


def compared(case: dict[str, Any]) -> list[bool]:
    """Which pairs; all, but for those where the exponential of a divergence goes straight ahead here and on (or over) in TRL."""
    order = case.get("coefficient")
    if order is None:
        return [True] * len(INPUTS["policy_chosen"])
    ratios = [
        [policy - reference for policy, reference in zip(INPUTS[f"policy_{name}"], INPUTS[f"reference_{name}"], strict=True)]
        for name in ("chosen", "rejected")
    ]
    return [max(-order * ratio for ratio in of_pair) < STRAIGHT for of_pair in zip(*ratios, strict=True)]


def name_of(case: dict[str, Any]) -> str:
    return "-".join(str(value) for name, value in case.items() if name not in ("losses", "chosen_rewards", "rejected_rewards"))


@pytest.mark.parametrize("case", RECORDED["cases"], ids=name_of)
def test_losses_and_rewards_are_those_of_trl(case: dict[str, Any]):
    outcome = term_of(case)(views(case.get("delta", 0.0)))
    chosen = compared(case)
    assert sum(chosen) >= 20
    sign = -1 if case["trl"].startswith("ORPO") else 1  # TRL subtracts what that function returns
    found = [value for value, one in zip(outcome.loss.tolist(), chosen, strict=True) if one]
    assert found == pytest.approx([sign * value for value, one in zip(case["losses"], chosen, strict=True) if one], rel=1e-6, abs=1e-6)
    assert all(math.isfinite(value) for value in outcome.loss.tolist())
    if "rewards/chosen" in outcome.metrics:
        for response in ("chosen", "rejected"):
            assert outcome.metrics[f"rewards/{response}"].tolist() == pytest.approx(case[f"{response}_rewards"], rel=1e-6, abs=1e-6)


def test_the_running_mean_is_that_of_trl():
    """TRL's mean after a step is what the next step here subtracts."""
    terms = (BCO(),)
    memory = started(terms)
    for reward, mean in zip(RECORDED["running"]["rewards"], RECORDED["running"]["means"], strict=True):
        memory = remembered(terms, memory, {"bco/reward": jnp.float32(reward)})
        assert memory["bco"]["delta"] == pytest.approx(mean, rel=1e-6)
