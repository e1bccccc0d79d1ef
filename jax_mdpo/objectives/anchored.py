"""Anchored preference: keep the chosen answer's reward above δ, so that it does not fall with the rejected one's."""

from typing import ClassVar

import jax.numpy as jnp

from jax_mdpo.core.config import config
from jax_mdpo.core.views import CHOSEN, CLEAN, Need, View, log_ratio_needs
from jax_mdpo.objectives.dpo import preference_loss
from jax_mdpo.objectives.term import Outcome, Views

ANCHORED_VIEW = View(CLEAN, CHOSEN)


@config
class Anchored:
    """−log σ(r(v, x, y_w) − δ); Wang et al. 2024 (arXiv 2406.11839), section 3.3. delta: in nats."""

    label: ClassVar[str] = "anchor"
    beta: float = 0.1
    delta: float = 0.0
    weight: float = 1.0

    def needs(self) -> frozenset[Need]:
        """The chosen answer given the true image, under both models."""
        return log_ratio_needs(ANCHORED_VIEW)

    def __call__(self, views: Views) -> Outcome:
        """The loss of each pair and the reward that it anchors."""
        chosen = views.reward(ANCHORED_VIEW, self.beta)
        metrics = {"rewards/chosen": chosen, "logps/chosen": views.logp("policy", ANCHORED_VIEW)}
        return Outcome(preference_loss(chosen, jnp.full_like(chosen, self.delta)), metrics)
