"""V-DPO: the answer's likelihood is contrasted with that without the image."""

from typing import ClassVar, Literal

import jax
from jaxtyping import Array, Float

from jax_mdpo.core.config import config
from jax_mdpo.core.views import Model, Need, View, log_ratio_needs
from jax_mdpo.objectives.losses import check_beta, preference_loss
from jax_mdpo.objectives.rewards import CHOSEN_VIEW, REJECTED_VIEW, described
from jax_mdpo.objectives.term import Outcome, Views

VIEWS = (CHOSEN_VIEW, REJECTED_VIEW)


@config
class VDPO:
    """−log σ(β·[f(y_w) − f(y_l)]), f(y) = log π_θ(y|v) − log π_ref(y|v) + sg[(γ − 1)·(log π_θ(y|v) − log π_0(y|∅))].

    Xie et al. 2024 (arXiv 2411.02712; repository YuxiXie/V-DPO). For γ < 1 a pair is pressed on until its rewards differ by more than the
    part 1 − γ of what the image gains y_w over y_l. The paper stops the gradient of the whole contrast; its code stops only π_0's, so
    that the gradient is scaled by γ and vanishes at γ = 0, the released setting for RLHF-V. The value is the same; the paper's gradient
    is followed. The reference sees the true image only.

    prior: π_0: the policy as it is, as in equation and released command, or the reference, which the paper also reports.
    image: ∅, `none`, which hides the image's tokens from the decoder, or `blank`, a black image. The paper zeroes the visual tokens; its
    code zeroes normalised pixels, so that the tower sees an even grey: both leave as many tokens as an image has, `none` leaves none.
    gamma: 0.75 for the paper's synthetic pairs, 0 for RLHF-V; 1 is dpo, up to the cost.
    """

    label: ClassVar[str] = "v_dpo"
    beta: float = 0.1
    gamma: float = 0.75
    prior: Literal["policy", "reference"] = "policy"
    image: Literal["none", "blank"] = "none"
    weight: float = 1.0

    def __post_init__(self) -> None:
        check_beta(self.beta)

    def needs(self) -> frozenset[Need]:
        """Both answers given the true image, under both models; and without it under one, without a gradient."""
        model: Model = self.prior
        return log_ratio_needs(*VIEWS) | {Need(model, view._replace(image=self.image), gradient=False) for view in VIEWS}

    def __call__(self, views: Views) -> Outcome:
        """The loss of each pair; the rewards before the contrast, and log π_θ(y|v) − log π_0(y|∅), what the image gains, in nats."""
        gains = {view: self._gain(views, view) for view in VIEWS}
        preferred, other = (self.beta * (views.log_ratio(view) + (self.gamma - 1) * gains[view]) for view in VIEWS)
        metrics = described(views, {view: views.reward(view, self.beta) for view in VIEWS})
        return Outcome(preference_loss(preferred, other), metrics | {f"image_gain/{view.response}": gain for view, gain in gains.items()})

    def _gain(self, views: Views, view: View) -> Float[Array, " E"]:
        return jax.lax.stop_gradient(views.logp("policy", view) - views.logp(self.prior, view._replace(image=self.image)))
