"""What a term of the loss is, and how terms add up."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol, runtime_checkable

import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from jax_mdpo.core.views import Model, Need, View


@runtime_checkable
class Tokens(Protocol):
    """Per-token log-probabilities of one view: nats, float32, zero where not scored."""

    @property
    def logps(self) -> Float[Array, "E R"]:
        """Of each token."""

    @property
    def scored(self) -> Bool[Array, "E R"]:
        """Which tokens belong to the response."""


@dataclass(frozen=True)
class Views:
    """What was evaluated, as the terms read it."""

    tokens: Mapping[tuple[Model, View], Tokens]

    def logp(self, model: Model, view: View) -> Float[Array, " E"]:
        """log π(response | image, prompt): the sum over scored tokens, end token included, in nats."""
        return jnp.sum(self.tokens[model, view].logps, axis=-1)

    def reward(self, view: View, beta: float) -> Float[Array, " E"]:
        """The implicit reward β · [log π_policy − log π_reference], in nats."""
        return beta * (self.logp("policy", view) - self.logp("reference", view))


class Outcome(NamedTuple):
    """A term's value for each pair, unweighted, and named quantities for the log, one value for each pair."""

    loss: Float[Array, " E"]
    metrics: dict[str, Float[Array, " E"]]


@runtime_checkable
class Term(Protocol):
    """One term of the loss: a frozen dataclass of its hyperparameters.

    label: its name in the log ("loss/<label>"). weight: its factor in the sum.
    """

    label: str
    weight: float

    def needs(self) -> frozenset[Need]:
        """The views that must be evaluated for it."""

    def __call__(self, views: Views) -> Outcome:
        """Its value for each pair."""


def total(terms: Sequence[Term], views: Views) -> Outcome:
    """The weighted sum of the terms, with `loss` and `loss/<label>` among the metrics.

    Where two terms report a metric of the same name, the first term's stands: with different β, say, put the one to be read first.
    """
    outcomes = [(term, term(views)) for term in terms]
    loss = sum((term.weight * outcome.loss for term, outcome in outcomes), start=jnp.zeros(()))
    metrics = {name: values for _, outcome in reversed(outcomes) for name, values in outcome.metrics.items()}
    parts = {f"loss/{term.label}": outcome.loss for term, outcome in outcomes}
    return Outcome(loss, {"loss": loss, **parts, **metrics})
