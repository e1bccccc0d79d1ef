"""Losses that judge the two rewards against fixed marks, not only against each other."""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Literal

import jax
from jaxtyping import Array, Float

from jax_mdpo.core.config import config
from jax_mdpo.core.views import Need, log_ratio_needs
from jax_mdpo.objectives.losses import check_beta
from jax_mdpo.objectives.rewards import CHOSEN_VIEW, REJECTED_VIEW, described
from jax_mdpo.objectives.term import Outcome, Views

Reward = Float[Array, " E"]
Kind = Literal["nca", "sppo", "apo_zero", "apo_down"]


def nca(chosen: Reward, rejected: Reward, beta: float) -> Reward:
    """−log σ(r_w) − ½ log σ(−r_w) − ½ log σ(−r_l); Chen et al. 2024 (arXiv 2402.05369), its case of pairs."""
    return -jax.nn.log_sigmoid(chosen) - (jax.nn.log_sigmoid(-chosen) + jax.nn.log_sigmoid(-rejected)) / 2


def sppo(chosen: Reward, rejected: Reward, beta: float) -> Reward:
    """(ρ_w − 1 / 2β)² + (ρ_l + 1 / 2β)², ρ = r / β; Wu et al. 2024 (arXiv 2405.00675), equation 4.7 with hard labels, η = 1 / β."""
    return ((chosen - 0.5) ** 2 + (rejected + 0.5) ** 2) / beta**2


def apo_zero(chosen: Reward, rejected: Reward, beta: float) -> Reward:
    """1 − σ(r_w) + σ(r_l), where chosen answers are better than the policy's own; D'Oosterlinck et al. 2024 (arXiv 2408.06266), eq. 7."""
    return jax.nn.sigmoid(-chosen) + jax.nn.sigmoid(rejected)


def apo_down(chosen: Reward, rejected: Reward, beta: float) -> Reward:
    """σ(r_w) + 1 − σ(r_w − r_l), where chosen answers are worse than the policy's own; the same paper, equation 8."""
    return jax.nn.sigmoid(chosen) + jax.nn.sigmoid(rejected - chosen)


KINDS: Mapping[Kind, Callable[[Reward, Reward, float], Reward]] = MappingProxyType(
    {"nca": nca, "sppo": sppo, "apo_zero": apo_zero, "apo_down": apo_down}
)


@config
class Pointwise:
    """One of these losses of the implicit rewards r_w and r_l, in nats. TRL calls them nca_pair, sppo_hard, apo_zero and apo_down."""

    loss: Kind
    beta: float = 0.1
    weight: float = 1.0

    def __post_init__(self) -> None:
        check_beta(self.beta)

    @property
    def label(self) -> str:
        """The loss's name: several may stand side by side."""
        return self.loss

    def needs(self) -> frozenset[Need]:
        """Both answers given the true image, under both models."""
        return log_ratio_needs(CHOSEN_VIEW, REJECTED_VIEW)

    def __call__(self, views: Views) -> Outcome:
        """The loss of each pair and its two rewards."""
        rewards = {view: views.reward(view, self.beta) for view in (CHOSEN_VIEW, REJECTED_VIEW)}
        loss = KINDS[self.loss](rewards[CHOSEN_VIEW], rewards[REJECTED_VIEW], self.beta)
        return Outcome(loss, described(views, rewards))
