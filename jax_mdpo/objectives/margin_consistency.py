"""Margin consistency: an answer's lead on its own image should be the other answer's lead on the other image."""

from typing import ClassVar

import jax.numpy as jnp
from jaxtyping import Array, Float

from jax_mdpo.core.config import config
from jax_mdpo.core.views import CHOSEN, CLEAN, CONTRAST, NEGATIVE, Need, View, log_ratio_needs
from jax_mdpo.objectives.term import Outcome, Views

ON_CLEAN = (View(CLEAN, CHOSEN), View(CLEAN, CONTRAST))
ON_NEGATIVE = (View(NEGATIVE, CONTRAST), View(NEGATIVE, CHOSEN))


@config
class MarginConsistency:
    """(Δ − Δ⁻)², with Δ = ρ(v, y_w) − ρ(v, y'_w) and Δ⁻ = ρ(v⁻, y'_w) − ρ(v⁻, y_w), ρ = log(policy / reference), in nats².

    SymMPO (Liu et al. 2025, arXiv 2506.11712). The paper writes rewards, which hold β; its code (Liuwq-bit/SymMPO) squares plain
    log-ratios. The code is followed, for its factor 1e-4 belongs to those: with β = 0.1 inside it would count a hundredth of that.
    """

    label: ClassVar[str] = "margin_consistency"
    weight: float = 1e-4

    def needs(self) -> frozenset[Need]:
        """The chosen and the contrast answer on either image, under both models."""
        return log_ratio_needs(*ON_CLEAN, *ON_NEGATIVE)

    def __call__(self, views: Views) -> Outcome:
        """The square of each pair; both margins in nats, without β."""
        clean, negative = _margin(views, *ON_CLEAN), _margin(views, *ON_NEGATIVE)
        return Outcome(jnp.square(clean - negative), {"margins/clean": clean, "margins/negative": negative})


def _margin(views: Views, right: View, wrong: View) -> Float[Array, " E"]:
    return views.log_ratio(right) - views.log_ratio(wrong)
