"""Token weights: a part that a term over log-ratios can take, and the log-ratio that they make."""

from typing import NamedTuple, Protocol, runtime_checkable

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from jax_mdpo.core.views import Need, View
from jax_mdpo.objectives.term import Views


class Weights(NamedTuple):
    """values: of each token; meaningless where it is not scored. metrics: for the log, one value for each pair."""

    values: Float[Array, "E R"]
    metrics: dict[str, Float[Array, " E"]]


@runtime_checkable
class Weighting(Protocol):
    """A frozen dataclass of its settings. No gradient flows through what it gives.

    of_reference: whether the reference's log-probs are weighted like the policy's, or not at all.
    whole_batch: whether a pair's weights depend on the batch's other pairs, so that accumulation may not split it.
    """

    @property
    def of_reference(self) -> bool: ...

    @property
    def whole_batch(self) -> bool: ...

    def needs(self, view: View) -> frozenset[Need]:
        """What must be evaluated to weigh the tokens of a view, beside its log-probs."""

    def __call__(self, views: Views, view: View, *, preferred: bool) -> Weights:
        """The weights of a view's tokens. preferred: whether the term raises its log-ratio or lowers it."""


class LogRatio(NamedTuple):
    """policy, reference: the (weighted) log-probs of a response, in nats. metrics: of the weights."""

    policy: Float[Array, " E"]
    reference: Float[Array, " E"]
    metrics: dict[str, Float[Array, " E"]]

    @property
    def value(self) -> Float[Array, " E"]:
        """log π_policy − log π_reference."""
        return self.policy - self.reference


def log_ratio(views: Views, view: View, weights: Weighting | None = None, *, preferred: bool = True) -> LogRatio:
    """Σ_t λ_t log π_policy(a_t) − Σ_t λ'_t log π_reference(a_t); all weights 1 without a weighting."""
    if weights is None:
        return LogRatio(views.logp("policy", view), views.logp("reference", view), {})
    values, metrics = weights(views, view, preferred=preferred)
    values = jax.lax.stop_gradient(values)
    policy, reference = views.tokens["policy", view], views.tokens["reference", view]

    def weighted(logps: Float[Array, "E R"]) -> Float[Array, " E"]:
        return jnp.sum(jnp.where(policy.scored, values * logps, 0.0), axis=-1)

    of_reference = weighted(reference.logps) if weights.of_reference else views.logp("reference", view)
    return LogRatio(weighted(policy.logps), of_reference, metrics)
