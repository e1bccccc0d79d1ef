"""Anchored preference: hold one reward on its side of δ, so that the chosen one does not fall with the rejected one."""

from typing import Literal

import jax.numpy as jnp

from jax_mdpo.core.config import config
from jax_mdpo.core.views import CONTRAST, NEGATIVE, Need, View, log_ratio_needs
from jax_mdpo.objectives.losses import check_beta, preference_loss
from jax_mdpo.objectives.rewards import CHOSEN_VIEW, NEGATIVE_VIEW, REJECTED_VIEW, described
from jax_mdpo.objectives.term import Outcome, Views

VIEWS = {"chosen": CHOSEN_VIEW, "rejected": REJECTED_VIEW, "negative": NEGATIVE_VIEW, "contrast": View(NEGATIVE, CONTRAST)}
RAISED = ("chosen", "contrast")


@config
class Anchored:
    """−log σ(r − δ) of what is to be preferred, −log σ(δ − r) of what is not; Wang et al. 2024 (arXiv 2406.11839), section 3.3.

    view: whose reward: of the chosen answer r(v, x, y_w), which is kept above δ; or of the rejected answer r(v, x, y_l), or of the
        chosen answer given the hard negative r(v⁻, x, y_w), which are kept below it. The paper's mDPO and the authors' code anchor
        the chosen answer alone; the paper compares the other two in an ablation. Several may stand side by side. SymMPO (arXiv
        2506.11712) also keeps the contrast answer's above δ, given the hard negative that it suits, r(v⁻, x, y'_w).
    delta: in nats.
    """

    view: Literal["chosen", "rejected", "negative", "contrast"] = "chosen"
    beta: float = 0.1
    delta: float = 0.0
    weight: float = 1.0

    def __post_init__(self) -> None:
        check_beta(self.beta)

    @property
    def label(self) -> str:
        """`anchor` of the chosen answer, `anchor_rejected`, `anchor_negative`, `anchor_contrast`."""
        return "anchor" if self.view == "chosen" else f"anchor_{self.view}"

    @property
    def anchored(self) -> View:
        """The view whose reward is anchored."""
        return VIEWS[self.view]

    def needs(self) -> frozenset[Need]:
        """The anchored view, under both models."""
        return log_ratio_needs(self.anchored)

    def __call__(self, views: Views) -> Outcome:
        """The loss of each pair and the reward that it anchors."""
        reward = views.reward(self.anchored, self.beta)
        delta = jnp.full_like(reward, self.delta)
        loss = preference_loss(reward, delta) if self.view in RAISED else preference_loss(delta, reward)
        return Outcome(loss, described(views, {self.anchored: reward}))
