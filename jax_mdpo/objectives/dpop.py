"""DPO-positive: direct preference optimisation with a penalty where the chosen answer becomes less likely than it was."""

from typing import ClassVar

import jax

from jax_mdpo.core.config import config
from jax_mdpo.core.views import Need, log_ratio_needs
from jax_mdpo.objectives.losses import check_beta, preference_loss
from jax_mdpo.objectives.rewards import CHOSEN_VIEW, REJECTED_VIEW, described
from jax_mdpo.objectives.term import Outcome, Views


@config
class DPOP:
    """−log σ(β [ρ_w − ρ_l − λ max(0, −ρ_w)]), ρ the log-ratios; Pal et al. 2024 (Smaug, arXiv 2402.13228), equation 3.

    penalty: λ, inside σ and inside β, as in the paper since July 2024; the authors say that earlier versions had the bracket wrong, and
        that results hardly depend on λ from 5 to 500 (abacusai/smaug, issue 2). β 0.3 and λ 50 are what others report as
        the paper's setting. At the start ρ_w = 0, where the penalty has no slope: the first step is that of DPO.
    """

    label: ClassVar[str] = "dpop"
    beta: float = 0.3
    penalty: float = 50.0
    weight: float = 1.0

    def __post_init__(self) -> None:
        check_beta(self.beta)
        if self.penalty < 0:
            raise ValueError(f"penalty must not be negative, or it would reward what it is there to prevent; got {self.penalty}")

    def needs(self) -> frozenset[Need]:
        """Both answers given the true image, under both models."""
        return log_ratio_needs(CHOSEN_VIEW, REJECTED_VIEW)

    def __call__(self, views: Views) -> Outcome:
        """The loss of each pair; the rewards without the penalty."""
        rewards = {view: views.reward(view, self.beta) for view in (CHOSEN_VIEW, REJECTED_VIEW)}
        chosen, rejected = rewards[CHOSEN_VIEW], rewards[REJECTED_VIEW]
        return Outcome(preference_loss(chosen - self.penalty * jax.nn.relu(-chosen), rejected), described(views, rewards))
