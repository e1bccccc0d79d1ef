"""UE-DPO's token weights: epistemic uncertainty on visually insensitive tokens of the preferred answer, on sensitive ones of the other."""

from collections.abc import Callable
from typing import ClassVar, Literal

import jax
import jax.numpy as jnp
from einops import rearrange
from jaxtyping import Array, Bool, Float

from jax_mdpo.core.config import config
from jax_mdpo.core.views import NOISED, Need, View
from jax_mdpo.objectives.statistics import deviation, quantile
from jax_mdpo.objectives.term import Views
from jax_mdpo.objectives.weighting import Weights

Statistic = Callable[[Float[Array, "E R"], Bool[Array, "E R"]], Float[Array, " E"]]
TIED = 1e-6  # logits: a deviation below it is that of equal values


@config
class Uncertainty:
    """λ = 1 ± α · 1{selected} · σ((u − μ) / ς); Zhang et al. 2026 (arXiv 2605.04874).

    Δ_t = logit(a_t | v) − logit(a_t | v') is the visual sensitivity, u_t = logit(â_t(v') | v) − logit(a_t | v) the uncertainty, v' the
    noised image (`noise` of the run) and â_t(v') the policy's likeliest token under it. Preferred: selected where Δ is below its τ
    quantile, sign +. Dispreferred: selected where Δ is at or above its 1 − τ quantile, sign −. μ is the first quartile of u over the
    selected tokens, ς their standard deviation. The weight multiplies the policy's log-prob and not the reference's.

    Where the paper is silent: quantiles interpolate linearly, the deviation is the population's, σ(·) is ½ where ς < 1e-6 (one token,
    ties), and an empty selection leaves λ = 1. alpha = 0 is the term without weights, exactly.
    scope: whether quantiles, quartile and deviation are a response's own or the whole batch's.
    answers: whose tokens are weighted; the paper compares both with the chosen or the rejected one's alone.
    """

    of_reference: ClassVar[bool] = False
    alpha: float = 0.3
    tau: float = 0.4
    scope: Literal["response", "batch"] = "response"
    answers: Literal["both", "chosen", "rejected"] = "both"

    def __post_init__(self) -> None:
        if not 0 <= self.alpha <= 1:
            raise ValueError(f"alpha must be from 0 to 1, or a weight would be negative; got {self.alpha}")
        if not 0 <= self.tau <= 1:
            raise ValueError(f"tau must be a share from 0 to 1, got {self.tau}")

    @property
    def whole_batch(self) -> bool:
        return self.scope == "batch"

    def needs(self, view: View) -> frozenset[Need]:
        """The logits of the tokens, and of the likeliest under noise; and those under noise, without a gradient."""
        return frozenset({Need("policy", view, guess=NOISED), Need("policy", view._replace(image=NOISED), gradient=False)})

    def __call__(self, views: Views, view: View, *, preferred: bool) -> Weights:
        clear, noised = views.tokens["policy", view], views.tokens["policy", view._replace(image=NOISED)]
        assert clear.logits is not None and noised.logits is not None, "a model ran for both"
        scored = clear.scored
        sensitivity, uncertainty = clear.logits - noised.logits, clear.guesses[NOISED] - clear.logits
        chosen = self._selected(sensitivity, scored, preferred=preferred) & (self.answers in ("both", view.response))
        raised = self.alpha * jnp.where(chosen, self._standing(uncertainty, chosen), 0.0)
        count = jnp.maximum(jnp.sum(scored, axis=-1), 1)
        response = view.response
        metrics = {
            f"tokens/weighted_{response}": jnp.sum(chosen, axis=-1) / count,
            f"tokens/uncertainty_{response}": jnp.sum(jnp.where(scored, uncertainty, 0.0), axis=-1) / count,
            f"tokens/sensitivity_{response}": jnp.sum(jnp.where(scored, sensitivity, 0.0), axis=-1) / count,
        }
        return Weights(1.0 + raised if preferred else 1.0 - raised, metrics)

    def _selected(self, sensitivity: Float[Array, "E R"], scored: Bool[Array, "E R"], *, preferred: bool) -> Bool[Array, "E R"]:
        share = self.tau if preferred else 1.0 - self.tau
        bound = self._over(lambda values, mask: quantile(values, mask, share), sensitivity, scored)
        return scored & ((sensitivity < bound) if preferred else (sensitivity >= bound))

    def _standing(self, uncertainty: Float[Array, "E R"], chosen: Bool[Array, "E R"]) -> Float[Array, "E R"]:
        """σ((u − μ) / ς) among the chosen tokens."""
        quartile = self._over(lambda values, mask: quantile(values, mask, 0.25), uncertainty, chosen)
        spread = self._over(deviation, uncertainty, chosen)
        tied = spread < TIED
        return jnp.where(tied, 0.5, jax.nn.sigmoid((uncertainty - quartile) / jnp.where(tied, 1.0, spread)))

    def _over(self, statistic: Statistic, values: Float[Array, "E R"], mask: Bool[Array, "E R"]) -> Float[Array, "#E 1"]:
        """A statistic of every response's values, or one of all of them."""
        if self.scope == "batch":
            return statistic(rearrange(values, "E R -> 1 (E R)"), rearrange(mask, "E R -> 1 (E R)"))[:, None]
        return statistic(values, mask)[:, None]
