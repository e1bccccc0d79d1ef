"""Simple preference optimisation: mean log-probs as rewards, a margin between them, and no reference."""

from typing import ClassVar

from jax_mdpo.core.config import config
from jax_mdpo.core.views import Need
from jax_mdpo.objectives.losses import check_beta, preference_loss
from jax_mdpo.objectives.rewards import CHOSEN_VIEW, REJECTED_VIEW, described
from jax_mdpo.objectives.term import Outcome, Views


@config
class SimPO:
    """−log σ(β / |y_w| · log π(y_w) − β / |y_l| · log π(y_l) − γ); Meng et al. 2024 (arXiv 2405.14734), equation 6.

    gamma: the margin in nats, after β, as in the paper's equation and in TRL. The authors' code (princeton-nlp/SimPO) sets γ / β
        instead: these defaults are its own, β 2 and a ratio of 0.25. Its recipes take β from 2 to 10 with ratios from 0.3 to 0.8.
    """

    label: ClassVar[str] = "simpo"
    beta: float = 2.0
    gamma: float = 0.5
    weight: float = 1.0

    def __post_init__(self) -> None:
        check_beta(self.beta)

    def needs(self) -> frozenset[Need]:
        """Both answers given the true image, under the policy alone."""
        return frozenset({Need("policy", CHOSEN_VIEW), Need("policy", REJECTED_VIEW)})

    def __call__(self, views: Views) -> Outcome:
        """The loss of each pair; the rewards, their margin before γ, and the share of pairs in the right order."""
        rewards = {view: self.beta * views.logp("policy", view) / views.length(view) for view in (CHOSEN_VIEW, REJECTED_VIEW)}
        loss = preference_loss(rewards[CHOSEN_VIEW], rewards[REJECTED_VIEW] + self.gamma)
        return Outcome(loss, described(views, rewards, of_reference=False))
