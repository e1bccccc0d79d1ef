"""Binary classifier optimisation: each answer judged by itself, good above the running mean reward and bad below it."""

from collections.abc import Mapping
from typing import ClassVar

import jax.numpy as jnp
from jaxtyping import Array, Float

from jax_mdpo.core.config import config
from jax_mdpo.core.views import Need, log_ratio_needs
from jax_mdpo.objectives.losses import check_beta, preference_loss
from jax_mdpo.objectives.rewards import CHOSEN_VIEW, REJECTED_VIEW, described
from jax_mdpo.objectives.term import Outcome, Views


@config
class BCO:
    """−log σ(r_w − δ) − log σ(δ − r_l); Jung et al. 2024 (arXiv 2404.04656). δ: the running mean of all rewards, without a gradient.

    δ in a step is the mean over the steps before it, each counted once with the mean reward of its whole batch, and 0 in the first
    step, where all rewards of a fresh adapter are 0. It therefore depends on no accumulation, and an evaluation leaves it alone. In
    TRL (bco_pair up to version 0.28, which MPO uses; later δ is gone), every micro-batch counts once, evaluations too, and the current
    one is already in δ. Both are plain averages without decay.
    """

    label: ClassVar[str] = "bco"
    beta: float = 0.1
    weight: float = 1.0

    def __post_init__(self) -> None:
        check_beta(self.beta)

    def needs(self) -> frozenset[Need]:
        """Both answers given the true image, under both models."""
        return log_ratio_needs(CHOSEN_VIEW, REJECTED_VIEW)

    def __call__(self, views: Views) -> Outcome:
        """The loss of each pair; bco/reward: the mean of its two rewards, bco/delta: δ."""
        rewards = {view: views.reward(view, self.beta) for view in (CHOSEN_VIEW, REJECTED_VIEW)}
        chosen, rejected = rewards[CHOSEN_VIEW], rewards[REJECTED_VIEW]
        delta = jnp.full_like(chosen, views.memory[self.label]["delta"])
        loss = preference_loss(chosen, delta) + preference_loss(delta, rejected)
        metrics = {"bco/reward": (chosen + rejected) / 2, "bco/delta": delta}
        return Outcome(loss, described(views, rewards) | metrics)

    def start(self) -> dict[str, float]:
        """delta: the mean reward so far. steps: over how many."""
        return {"delta": 0.0, "steps": 0.0}

    def remember(self, memory: Mapping[str, Float[Array, ""]], metrics: Mapping[str, Float[Array, ""]]) -> dict[str, Float[Array, ""]]:
        """The mean with one more step. (bco/reward is this term's own, whatever β another term's rewards/chosen has.)"""
        steps = memory["steps"] + 1
        return {"delta": memory["delta"] + (metrics["bco/reward"] - memory["delta"]) / steps, "steps": steps}
