"""Odds-ratio preference optimisation: the odds of the chosen answer against those of the rejected one, and no reference."""

import math
from typing import ClassVar

import jax.numpy as jnp
from jaxtyping import Array, Float

from jax_mdpo.core.config import config
from jax_mdpo.core.views import Need
from jax_mdpo.objectives.losses import preference_loss
from jax_mdpo.objectives.rewards import CHOSEN_VIEW, REJECTED_VIEW, logps_of
from jax_mdpo.objectives.term import Outcome, Views

CERTAIN = -1e-6  # nats: the greatest mean log-prob whose odds float32 can tell from infinite ones


def log_odds(logp: Float[Array, " E"]) -> Float[Array, " E"]:
    """log(p / (1 − p)) of log p in nats. Above −1e-6 it stands still: no answer is surer than that."""
    sure = jnp.minimum(logp, CERTAIN)
    small = sure < -math.log(2)  # each form where it is exact (Mächler 2012); both stay finite, so no gradient is lost in `where`
    return sure - jnp.where(small, jnp.log1p(-jnp.exp(sure)), jnp.log(-jnp.expm1(sure)))


@config
class ORPO:
    """−log σ(log odds(y_w) − log odds(y_l)), odds = p / (1 − p), log p the mean log-prob of a token; Hong et al. 2024 (arXiv 2403.07691).

    It is L_OR alone, equation 7, and `weight` is the paper's λ; the whole ORPO is {name: sft} beside it. (Beside theirs the authors' code
    (xfactlab/orpo), unless told not to, and TRL learn the prompt's tokens too; this sft learns the answer's.)
    """

    label: ClassVar[str] = "orpo"
    weight: float = 1.0

    def needs(self) -> frozenset[Need]:
        """Both answers given the true image, under the policy alone."""
        return frozenset({Need("policy", CHOSEN_VIEW), Need("policy", REJECTED_VIEW)})

    def __call__(self, views: Views) -> Outcome:
        """The loss of each pair; orpo/log_odds_ratio: what σ is taken of."""
        chosen, rejected = (log_odds(views.logp("policy", view) / views.length(view)) for view in (CHOSEN_VIEW, REJECTED_VIEW))
        metrics = {"orpo/log_odds_ratio": chosen - rejected, **logps_of(views, CHOSEN_VIEW, REJECTED_VIEW)}
        return Outcome(preference_loss(chosen, rejected), metrics)
