"""Conditional preference: prefer the true image to the hard negative, given the same answer."""

from typing import ClassVar

from jax_mdpo.core.config import config
from jax_mdpo.core.views import Need, log_ratio_needs
from jax_mdpo.objectives.losses import check_beta, preference_loss
from jax_mdpo.objectives.rewards import CHOSEN_VIEW, NEGATIVE_VIEW, described
from jax_mdpo.objectives.term import Outcome, Views


@config
class Conditional:
    """−log σ(r(v, x, y_w) − r(v⁻, x, y_w)); Wang et al. 2024 (arXiv 2406.11839), section 3.2. Both models see the same v⁻.

    It is also the image term of Re-Align's rDPO (arXiv 2502.13146), with a retrieved image as v⁻. That paper's code
    (taco-group/Re-Align) takes, for v⁻ and for y_l, the log-prob of the strongest token that is not the answer's; this is the equation.
    Other images and answers are compared by `preference`.
    """

    label: ClassVar[str] = "conditional"
    beta: float = 0.1
    weight: float = 1.0

    def __post_init__(self) -> None:
        check_beta(self.beta)

    def needs(self) -> frozenset[Need]:
        """The chosen answer given the true image and given the hard negative, under both models."""
        return log_ratio_needs(CHOSEN_VIEW, NEGATIVE_VIEW)

    def __call__(self, views: Views) -> Outcome:
        """The loss of each pair; the rewards on both images, and the share of pairs in the right order."""
        rewards = {view: views.reward(view, self.beta) for view in (CHOSEN_VIEW, NEGATIVE_VIEW)}
        return Outcome(preference_loss(rewards[CHOSEN_VIEW], rewards[NEGATIVE_VIEW]), described(views, rewards))
