"""CHiP: responses, images and whole distributions compared in one sigmoid."""

from typing import Any, ClassVar

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from jax_mdpo.core.config import config
from jax_mdpo.core.views import Need, View, log_ratio_needs
from jax_mdpo.objectives.losses import check_beta, preference_loss
from jax_mdpo.objectives.rewards import CHOSEN_VIEW, NEGATIVE_VIEW, REJECTED_VIEW, described
from jax_mdpo.objectives.term import Outcome, Views
from jax_mdpo.objectives.weighting import log_ratio


@config
class CHiP:
    """−log σ(β·z), z = [ℓ(v, y_w) − ℓ(v, y_l)] + [ℓ(v, y_w) − ℓ(v⁻, y_w)] − γ·[KL(y_l) − sg KL(y_w)]; Fu et al. 2025 (arXiv 2501.16629).

    ℓ is the log-ratio, its tokens weighted where `weights` says so. KL(y) = Σ_t KL(reference ‖ policy) of the next token's distribution
    over the response's positions, given the true image; no gradient flows through the chosen answer's.

    This is the loss of the authors' code (LVUGAI/CHiP), which adds the margins inside one sigmoid, with γ inside β. The paper presents
    response, image, segment and token preferences as objectives of their own, and is said to add their losses; only the code could be
    checked to the last sign, so it is followed. With `conditional` beside `visual: false`, the image's loss stands apart.
    The code's LLaVA trainer multiplies a sum over tokens by the sum of the token weights in the reference's log-prob under v⁻, which only
    shifts the sigmoid by a large constant: here that log-prob is weighted like all others.

    token: γ. visual: whether v⁻ is compared. weights: of the tokens (objectives/weighting.py), `changed` in CHiP. Without image and
    weights it is TDPO2 (Zeng et al. 2024, arXiv 2404.11999), whose γ is 0.5.
    """

    label: ClassVar[str] = "chip"
    beta: float = 0.1
    token: float = 0.1
    visual: bool = True
    weight: float = 1.0
    weights: Any = None

    def __post_init__(self) -> None:
        check_beta(self.beta)
        if self.token < 0:
            raise ValueError(f"token is the weight of the distributions' divergence, at least 0; got {self.token}")

    @property
    def whole_batch(self) -> bool:
        """Whether the token weights compare the pairs of a batch."""
        return self.weights is not None and self.weights.whole_batch

    @property
    def _views(self) -> tuple[View, ...]:
        return (CHOSEN_VIEW, REJECTED_VIEW, NEGATIVE_VIEW) if self.visual else (CHOSEN_VIEW, REJECTED_VIEW)

    def needs(self) -> frozenset[Need]:
        """Both answers given the true image, the chosen one given the hard negative, under both models; the divergences, the weights."""
        weighing = (need for view in self._views for need in (self.weights.needs(view) if self.weights is not None else ()))
        comparing = (Need("policy", view, divergence=True) for view in (CHOSEN_VIEW, REJECTED_VIEW) if self.token)
        return log_ratio_needs(*self._views) | frozenset(weighing) | frozenset(comparing)

    def __call__(self, views: Views) -> Outcome:
        """The loss of each pair; the rewards, and the divergences in nats."""
        ratios = {view: log_ratio(views, view, self.weights, preferred=view == CHOSEN_VIEW) for view in self._views}
        preferred, others = ratios[CHOSEN_VIEW], [ratios[view] for view in self._views if view != CHOSEN_VIEW]
        margin = sum((preferred.value - other.value for other in others), start=jnp.zeros(()))
        metrics = described(views, {view: views.reward(view, self.beta) for view in self._views})
        for ratio in (*others, preferred):
            metrics |= ratio.metrics
        if self.token:
            chosen, rejected = divergence(views, CHOSEN_VIEW), divergence(views, REJECTED_VIEW)
            margin -= self.token * (rejected - jax.lax.stop_gradient(chosen))
            metrics |= {"divergence/chosen": chosen, "divergence/rejected": rejected}
        return Outcome(preference_loss(self.beta * margin, jnp.zeros_like(margin)), metrics)


def divergence(views: Views, view: View) -> Float[Array, " E"]:
    """Σ_t KL(reference ‖ policy) over a response's positions, in nats."""
    found = views.tokens["policy", view].divergence
    assert found is not None, "it was asked for"
    return jnp.sum(found, axis=-1)
