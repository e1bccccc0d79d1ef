"""A preference between any two views: what symmetric objectives are made of."""

from typing import Literal

import jax.numpy as jnp

from jax_mdpo.core.config import config
from jax_mdpo.core.views import Need, View, log_ratio_needs
from jax_mdpo.objectives.losses import check_beta, preference_loss
from jax_mdpo.objectives.rewards import described, name_of
from jax_mdpo.objectives.term import Outcome, Views

Image = Literal["clean", "negative", "noised", "none", "blank"]
Response = Literal["chosen", "rejected", "contrast"]


@config
class Preference:
    """−log σ(r(preferred) − r(other)), each an (image, response): `dpo` and `conditional` with the views left open.

    Two images with one answer: S-VCO (Wu et al. 2025, arXiv 2502.13928; repository s-vco/s-vco) attends to an image that an answer
    suits, (v, y) over (none, y), and rejects one that it does not suit, (none, y) over (v⁻, y), for y_w and, with the images'
    parts exchanged, for y_l. Paper and code agree. There the image-free prompt is rendered without an image; here `none` hides the
    image's tokens from the decoder, which attends to none and gives them no position: only what the template writes about them stays.

    Two answers with one image: SymMPO (Liu et al. 2025, arXiv 2506.11712; repository Liuwq-bit/SymMPO) prefers y_w to y'_w given v
    and y'_w to y_w given v⁻, where y'_w, `contrast`, is the answer that suits v⁻.
    """

    preferred: tuple[Image, Response]
    other: tuple[Image, Response]
    beta: float = 0.1
    weight: float = 1.0

    def __post_init__(self) -> None:
        check_beta(self.beta)
        if self.preferred == self.other:
            raise ValueError(f"preferred and other are the same view {list(self.preferred)}: change the image or the response of one")

    @property
    def label(self) -> str:
        """As the log names the views: "chosen_over_none"."""
        return "_over_".join(map(name_of, self._views))

    @property
    def _views(self) -> tuple[View, View]:
        return View(*self.preferred), View(*self.other)

    def needs(self) -> frozenset[Need]:
        """Both views, under both models."""
        return log_ratio_needs(*self._views)

    def __call__(self, views: Views) -> Outcome:
        """The loss of each pair; both rewards, and the share of pairs in the right order."""
        preferred, other = (views.reward(view, self.beta) for view in self._views)
        metrics = described(views, dict(zip(self._views, (preferred, other), strict=True)))
        metrics[f"rewards/{self.label}_accuracy"] = (preferred > other).astype(jnp.float32)
        return Outcome(preference_loss(preferred, other), metrics)
