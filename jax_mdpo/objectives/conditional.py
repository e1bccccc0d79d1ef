"""Conditional preference: prefer the true image to the hard negative, given the same answer."""

from typing import ClassVar

import jax.numpy as jnp

from jax_mdpo.core.config import config
from jax_mdpo.core.views import CHOSEN, CLEAN, NEGATIVE, Need, View, log_ratio_needs
from jax_mdpo.objectives.dpo import preference_loss
from jax_mdpo.objectives.term import Outcome, Views

TRUE_VIEW = View(CLEAN, CHOSEN)
NEGATIVE_VIEW = View(NEGATIVE, CHOSEN)


@config
class Conditional:
    """−log σ(r(v, x, y_w) − r(v⁻, x, y_w)); Wang et al. 2024 (arXiv 2406.11839), section 3.2. Both models see the same v⁻."""

    label: ClassVar[str] = "conditional"
    beta: float = 0.1
    weight: float = 1.0

    def needs(self) -> frozenset[Need]:
        """The chosen answer given the true image and given the hard negative, under both models."""
        return log_ratio_needs(TRUE_VIEW, NEGATIVE_VIEW)

    def __call__(self, views: Views) -> Outcome:
        """The loss of each pair; the rewards on both images, and the share of pairs in the right order."""
        true, negative = views.reward(TRUE_VIEW, self.beta), views.reward(NEGATIVE_VIEW, self.beta)
        metrics = {
            "rewards/chosen": true,
            "rewards/negative": negative,
            "rewards/conditional_accuracy": (true > negative).astype(jnp.float32),
            "logps/chosen": views.logp("policy", TRUE_VIEW),
            "logps/negative": views.logp("policy", NEGATIVE_VIEW),
        }
        return Outcome(preference_loss(true, negative), metrics)
