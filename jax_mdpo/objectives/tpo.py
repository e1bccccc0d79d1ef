"""TPO: a token's likelihood is corrected by how much it owes to the image."""

from typing import ClassVar

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from jax_mdpo.core.config import config
from jax_mdpo.core.views import NOISED, Model, Need, View
from jax_mdpo.objectives.losses import check_beta, preference_loss
from jax_mdpo.objectives.rewards import CHOSEN_VIEW, REJECTED_VIEW, described
from jax_mdpo.objectives.term import Outcome, Views

VIEWS = (CHOSEN_VIEW, REJECTED_VIEW)


@config
class TPO:
    """−log σ(β·[R_θ(y_w) − R_ref(y_w)] − β·[R_θ(y_l) − R_ref(y_l)]); Gu et al. 2024 (arXiv 2412.14487, repository alibaba/TPO).

    R(y) = Σ_t [log π(a_t | v) + log c_t], s_t = logit(a_t | v) − logit(a_t | v') of raw logits, v' the noised image (`noise` of the
    run), c_t = floor + σ(s_t) in the preferred answer and floor + 1 − σ(s_t) in the other. c multiplies a probability, it does not weigh
    a log-prob. Policy and reference each have their own c, which cancel at the start: the loss is log 2 there. As in the code, and the
    paper does not say otherwise, the gradient flows through c, on both images. The code adds the noise to pixels between 0 and 1 and
    lets values beyond wrap around in 8 bits; here it comes upon normalised pixels, as in the schedule's source.
    """

    label: ClassVar[str] = "tpo"
    beta: float = 0.1
    floor: float = 0.5
    weight: float = 1.0

    def __post_init__(self) -> None:
        check_beta(self.beta)
        if not self.floor > 0:
            raise ValueError(f"floor must be positive, or a token's likelihood could be multiplied by 0; got {self.floor}")

    def needs(self) -> frozenset[Need]:
        """Both answers given the true and the noised image, under both models, with their logits."""
        seen = [view._replace(image=image) for view in VIEWS for image in (view.image, NOISED)]
        policy = {Need("policy", view, steep_logits=True) for view in seen}
        return frozenset(policy | {Need("reference", view, gradient=False, logits=True) for view in seen})

    def __call__(self, views: Views) -> Outcome:
        """The loss of each pair; the rewards before the correction, the corrections and the mean sensitivities s."""
        corrections = {view: log_factor(self, views, "policy", view) - log_factor(self, views, "reference", view) for view in VIEWS}
        preferred, other = (self.beta * (views.log_ratio(view) + corrections[view]) for view in VIEWS)
        metrics = described(views, {view: views.reward(view, self.beta) for view in VIEWS})
        for view in VIEWS:
            mean = jnp.sum(sensitivity(views, "policy", view), axis=-1) / views.length(view)
            metrics |= {f"tokens/correction_{view.response}": corrections[view], f"tokens/sensitivity_{view.response}": mean}
        return Outcome(preference_loss(preferred, other), metrics)


def sensitivity(views: Views, model: Model, view: View) -> Float[Array, "E R"]:
    """s_t, in logits; 0 where no token is scored."""
    clear, noised = views.tokens[model, view], views.tokens[model, view._replace(image=NOISED)]
    assert clear.logits is not None and noised.logits is not None, "a model ran for both"
    return jnp.where(clear.scored, clear.logits - noised.logits, 0.0)


def log_factor(term: TPO, views: Views, model: Model, view: View) -> Float[Array, " E"]:
    """Σ_t log c_t of a response."""
    towards = sensitivity(views, model, view) if view == CHOSEN_VIEW else -sensitivity(views, model, view)
    factors = jnp.log(term.floor + jax.nn.sigmoid(towards))
    return jnp.sum(jnp.where(views.tokens[model, view].scored, factors, 0.0), axis=-1)
