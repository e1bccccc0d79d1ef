"""What a term of the loss is, and how terms add up."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol, runtime_checkable

import jax.numpy as jnp
from jaxtyping import Array, Float

from jax_mdpo.core.tokens import Tokens
from jax_mdpo.core.views import Model, Need, View

Memory = Mapping[str, Mapping[str, Float[Array, ""]]]  # running values by a term's label and their names


@dataclass(frozen=True)
class Views:
    """What was evaluated, as the terms read it. memory: the running values of the terms that keep some, as of the step before."""

    tokens: Mapping[tuple[Model, View], Tokens]
    memory: Memory = field(default_factory=dict)

    def logp(self, model: Model, view: View) -> Float[Array, " E"]:
        """log π(response | image, prompt): the sum over scored tokens, end token included, in nats."""
        return jnp.sum(self.tokens[model, view].logps, axis=-1)

    def length(self, view: View) -> Float[Array, " E"]:
        """How many tokens of a response are scored, its end token included; at least one."""
        scored = next(tokens.scored for (_, one), tokens in self.tokens.items() if one == view)
        return jnp.maximum(jnp.sum(scored, axis=-1), 1).astype(jnp.float32)

    def log_ratio(self, view: View) -> Float[Array, " E"]:
        """log π_policy − log π_reference, in nats."""
        return self.logp("policy", view) - self.logp("reference", view)

    def reward(self, view: View, beta: float) -> Float[Array, " E"]:
        """The implicit reward β · [log π_policy − log π_reference], in nats."""
        return beta * self.log_ratio(view)


class Outcome(NamedTuple):
    """A term's value for each pair, unweighted, and named quantities for the log, one value for each pair."""

    loss: Float[Array, " E"]
    metrics: dict[str, Float[Array, " E"]]


@runtime_checkable
class Term(Protocol):
    """One term of the loss: a frozen dataclass of its hyperparameters.

    label: its name in the log ("loss/<label>"). weight: its factor in the sum.
    """

    @property
    def label(self) -> str: ...

    @property
    def weight(self) -> float: ...

    def needs(self) -> frozenset[Need]:
        """The views that must be evaluated for it."""

    def __call__(self, views: Views) -> Outcome:
        """Its value for each pair."""


@runtime_checkable
class Remembering(Protocol):
    """A term that keeps running values, which the run's checkpoints hold."""

    def start(self) -> dict[str, float]:
        """The values before the first step, by name."""

    def remember(self, memory: Mapping[str, Float[Array, ""]], metrics: Mapping[str, Float[Array, ""]]) -> dict[str, Float[Array, ""]]:
        """The values after a step. metrics: the term's own, as means over the step's whole batch, on all devices and processes."""


def total(terms: Sequence[Term], views: Views) -> Outcome:
    """The weighted sum of the terms, with `loss` and `loss/<label>` among the metrics.

    Where two terms report a metric of the same name, the first term's stands: with different β, say, put the one to be read first.
    """
    outcomes = [(term, term(views)) for term in terms]
    loss = sum((term.weight * outcome.loss for term, outcome in outcomes), start=jnp.zeros(()))
    metrics = {name: values for _, outcome in reversed(outcomes) for name, values in outcome.metrics.items()}
    parts = {f"loss/{term.label}": outcome.loss for term, outcome in outcomes}
    return Outcome(loss, {"loss": loss, **parts, **metrics})


def started(terms: Sequence[Term]) -> dict[str, dict[str, Float[Array, ""]]]:
    """The running values of all terms before the first step."""
    return {
        term.label: {name: jnp.asarray(value, jnp.float32) for name, value in term.start().items()}
        for term in terms
        if isinstance(term, Remembering)
    }


def remembered(terms: Sequence[Term], memory: Memory, metrics: Mapping[str, Float[Array, ""]]) -> dict[str, dict[str, Float[Array, ""]]]:
    """The running values of all terms after a step with these mean metrics."""
    return {term.label: dict(term.remember(memory[term.label], metrics)) for term in terms if isinstance(term, Remembering)}
