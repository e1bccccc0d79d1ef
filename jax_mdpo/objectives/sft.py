"""Supervised fine-tuning on the chosen answer: the generation part of mixed objectives."""

from typing import ClassVar, Literal

from jax_mdpo.core.config import config
from jax_mdpo.core.views import Need
from jax_mdpo.objectives.rewards import CHOSEN_VIEW, logps_of
from jax_mdpo.objectives.term import Outcome, Views


@config
class SFT:
    """−log π(y_w | v, x), divided by |y_w| (per: token) or not (per: sequence).

    Per token it is the generation loss of MPO (Wang et al. 2024, arXiv 2411.10442) and weighs every pair alike, so that it does not
    depend on how a batch is split. The authors' code (OpenGVLab/InternVL) and TRL average over all the tokens of a micro-batch
    instead, where a long answer weighs more; with one pair in each they are the same.
    """

    label: ClassVar[str] = "sft"
    per: Literal["token", "sequence"] = "token"
    weight: float = 1.0

    def needs(self) -> frozenset[Need]:
        """The chosen answer given the true image, under the policy alone."""
        return frozenset({Need("policy", CHOSEN_VIEW)})

    def __call__(self, views: Views) -> Outcome:
        """The negative log-likelihood of each pair's chosen answer, in nats."""
        logp = views.logp("policy", CHOSEN_VIEW)
        loss = -logp / views.length(CHOSEN_VIEW) if self.per == "token" else -logp
        return Outcome(loss, logps_of(views, CHOSEN_VIEW))
