"""Direct preference optimisation: prefer the chosen answer to the rejected one, given the same image."""

from typing import Any, ClassVar

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from jax_mdpo.core.config import config
from jax_mdpo.core.views import CHOSEN, CLEAN, REJECTED, Need, View, log_ratio_needs
from jax_mdpo.objectives.term import Outcome, Views
from jax_mdpo.objectives.weighting import log_ratio

CHOSEN_VIEW = View(CLEAN, CHOSEN)
REJECTED_VIEW = View(CLEAN, REJECTED)


def preference_loss(preferred: Float[Array, " E"], other: Float[Array, " E"]) -> Float[Array, " E"]:
    """−log σ(preferred − other) of rewards in nats; Rafailov et al. 2023 (arXiv 2305.18290), equation 7."""
    return -jax.nn.log_sigmoid(preferred - other)


@config
class DPO:
    """−log σ(r(v, x, y_w) − r(v, x, y_l)), with r = β · log(policy / reference). weights: of the tokens (objectives/weighting.py)."""

    label: ClassVar[str] = "dpo"
    beta: float = 0.1
    weight: float = 1.0
    weights: Any = None

    @property
    def whole_batch(self) -> bool:
        """Whether the token weights compare the pairs of a batch."""
        return self.weights is not None and self.weights.whole_batch

    def needs(self) -> frozenset[Need]:
        """Both answers given the true image, under both models; and what the token weights need."""
        views = (CHOSEN_VIEW, REJECTED_VIEW)
        weighing = (need for view in views for need in (self.weights.needs(view) if self.weights is not None else ()))
        return log_ratio_needs(*views) | frozenset(weighing)

    def __call__(self, views: Views) -> Outcome:
        """The loss of each pair; rewards, their margin, and the share of pairs in the right order."""
        preferred, other = log_ratio(views, CHOSEN_VIEW, self.weights), log_ratio(views, REJECTED_VIEW, self.weights, preferred=False)
        loss = preference_loss(self.beta * preferred.value, self.beta * other.value)
        chosen, rejected = views.reward(CHOSEN_VIEW, self.beta), views.reward(REJECTED_VIEW, self.beta)
        metrics = {
            "rewards/chosen": chosen,
            "rewards/rejected": rejected,
            "rewards/margin": chosen - rejected,
            "rewards/accuracy": (chosen > rejected).astype(jnp.float32),
            "logps/chosen": views.logp("policy", CHOSEN_VIEW),
            "logps/rejected": views.logp("policy", REJECTED_VIEW),
            **preferred.metrics,
            **other.metrics,
        }
        return Outcome(loss, metrics)
