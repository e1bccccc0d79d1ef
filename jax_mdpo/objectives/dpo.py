"""Direct preference optimisation: prefer the chosen answer to the rejected one, given the same image."""

from typing import Any, ClassVar

from jaxtyping import Array, Float

from jax_mdpo.core.config import config
from jax_mdpo.core.views import Need, View, log_ratio_needs
from jax_mdpo.objectives.links import LINKS, Divergence, check_divergence
from jax_mdpo.objectives.losses import LOSSES, Loss, check_beta, check_smoothing
from jax_mdpo.objectives.rewards import CHOSEN_VIEW, REJECTED_VIEW, described
from jax_mdpo.objectives.term import Outcome, Views
from jax_mdpo.objectives.weighting import log_ratio


@config
class DPO:
    """−log σ(r(v, x, y_w) − r(v, x, y_l)), with r = β · log(policy / reference); Rafailov et al. 2023 (arXiv 2305.18290), and its kin.

    loss: of β and the margin between the two log-ratios (objectives/losses.py). label_smoothing: the share of pairs whose labels are
        believed to be flipped; part of sigmoid, robust and exo.
    length_normalised: each log-ratio is divided by its response's length, so that it is a mean over tokens. TRL does so for ipo (and
        reports that its authors do; their equation and the code of the DPO authors sum) and names the sigmoid so treated sigmoid_norm.
    divergence: what holds the policy to the reference (objectives/links.py); alpha: the order of divergence alpha, and of no other.
    weights: of the tokens (objectives/weighting.py). They come first, then the division, then the divergence.
    """

    label: ClassVar[str] = "dpo"
    beta: float = 0.1
    loss: Loss = "sigmoid"
    label_smoothing: float = 0.0
    length_normalised: bool = False
    divergence: Divergence = "reverse_kl"
    alpha: float | None = None
    weight: float = 1.0
    weights: Any = None

    def __post_init__(self) -> None:
        check_beta(self.beta)
        check_smoothing(self.loss, self.label_smoothing)
        check_divergence(self.divergence, self.alpha)

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
        margin = self._linked(views, CHOSEN_VIEW, preferred.value) - self._linked(views, REJECTED_VIEW, other.value)
        rewards = {view: self.beta * self._scaled(views, view, views.log_ratio(view)) for view in (CHOSEN_VIEW, REJECTED_VIEW)}
        metrics = described(views, rewards) | preferred.metrics | other.metrics
        return Outcome(LOSSES[self.loss](margin, self.beta, self.label_smoothing), metrics)

    def _linked(self, views: Views, view: View, ratio: Float[Array, " E"]) -> Float[Array, " E"]:
        return LINKS[self.divergence](self._scaled(views, view, ratio), self.alpha)

    def _scaled(self, views: Views, view: View, ratio: Float[Array, " E"]) -> Float[Array, " E"]:
        return ratio / views.length(view) if self.length_normalised else ratio
