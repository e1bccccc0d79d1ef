"""One optimiser step as a pure function: all objectives, one gradient, with the LoRA factors as the only differentiated argument."""

from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from functools import partial
from types import MappingProxyType
from typing import TypeVar

import jax
import jax.numpy as jnp
import optax
from einops import rearrange
from jaxtyping import Array, Float

from jax_mdpo.core.batch import Batch
from jax_mdpo.core.views import View
from jax_mdpo.models.actors import Actors, Frozen
from jax_mdpo.models.images import Corruptions
from jax_mdpo.models.plan import Plan, plan
from jax_mdpo.models.views import brought, evaluate
from jax_mdpo.objectives.term import Memory, Outcome, Term, Views, remembered, total
from jax_mdpo.training.optimizer import global_norm
from jax_mdpo.training.state import TrainState

Metrics = dict[str, Float[Array, ""]]
T = TypeVar("T")
NO_MEMORY: Memory = MappingProxyType({})


@dataclass(frozen=True, eq=False)  # hashed by identity, as jit wants it
class Loss:
    """The objectives of a run over its actors. chunk: response positions per row whose logits exist at a time.

    corruptions: how the image variants come about that the device makes.
    """

    actors: Actors
    terms: tuple[Term, ...]
    chunk: int
    corruptions: Corruptions = field(default_factory=dict)

    def plan(self, brought: Collection[View] = ()) -> Plan:
        """The forward passes that the terms' views need. brought: views whose reference log-probs come with the batch."""
        return plan((need for term in self.terms for need in term.needs()), brought)

    def outcome(self, lora: dict, frozen: Frozen, batch: Batch, memory: Memory = NO_MEMORY, key: jax.Array | None = None) -> Outcome:
        """Loss and metrics of each pair. key: of the dropout. memory: the running values of the terms that keep some."""
        select = self.actors.select(frozen, lora, key=key)
        tokens = evaluate(
            self.plan(batch.reference),
            batch,
            select,
            shared_tower=self.actors.shared_tower,
            chunk=self.chunk,
            corruptions=self.corruptions,
        )
        return total(self.terms, Views(tokens | brought(batch), memory))

    def __call__(
        self, lora: dict, frozen: Frozen, batch: Batch, pairs: Float[Array, ""], memory: Memory = NO_MEMORY, key: jax.Array | None = None
    ) -> tuple[Float[Array, ""], Metrics]:
        """The sum over the batch's valid pairs, divided by `pairs`; metrics likewise."""
        outcome = self.outcome(lora, frozen, batch, memory, key)

        def mean(values: Float[Array, " E"]) -> Float[Array, ""]:
            return jnp.sum(jnp.where(rearrange(batch.valid, "B K -> (B K)"), values, 0.0)) / pairs

        return mean(outcome.loss), {name: mean(values) for name, values in outcome.metrics.items()}


def make_step(
    loss: Loss, optimizer: optax.GradientTransformation, schedule: optax.Schedule, *, accumulation: int, dropout: bool
) -> Callable[[Frozen, TrainState, Batch], tuple[TrainState, Metrics]]:
    """The compiled step: (frozen, state, batch) → (state, metrics). The old state's buffers are reused.

    accumulation: into how many parts the batch is split; only one part's activations exist at a time, the result is the whole's.
    """

    def step(frozen: Frozen, state: TrainState, batch: Batch) -> tuple[TrainState, Metrics]:
        gradients, metrics = over_parts(partial(_gradient, loss, state, frozen, dropout), state, batch, accumulation)
        updates, opt_state = optimizer.update(gradients, state.opt_state, state.lora)
        lora = optax.apply_updates(state.lora, updates)
        metrics |= {"grad_norm": global_norm(gradients), "learning_rate": jnp.asarray(schedule(state.step), jnp.float32)}
        return TrainState(state.step + 1, lora, opt_state, state.key, remembered(loss.terms, state.memory, metrics)), metrics

    return loss.actors.compiled(step, donate=1)


def make_evaluation(loss: Loss) -> Callable[[Frozen, dict, Memory, Batch], Metrics]:
    """The compiled forward only: (frozen, lora, memory, batch) → sums of the metrics over valid pairs, and `pairs`, their number."""

    def sums(frozen: Frozen, lora: dict, memory: Memory, batch: Batch) -> Metrics:
        _, metrics = loss(jax.lax.stop_gradient(lora), frozen, batch, jnp.ones(()), memory)
        return {**metrics, "pairs": jnp.sum(batch.valid).astype(jnp.float32)}

    return loss.actors.compiled(sums)


def split(batch: Batch, parts: int) -> Batch:
    """The batch with a leading axis of `parts`. Neighbouring rows go to different parts, so each device splits its own rows."""
    return jax.tree.map(lambda leaf: rearrange(leaf, "(B parts) ... -> parts B ...", parts=parts), batch)


def over_parts(one: Callable[[Float[Array, ""], Batch, jax.Array], T], state: TrainState, batch: Batch, accumulation: int) -> T:
    """The sum over the batch's parts of what `one` gives, a tree of arrays, of (valid pairs in the whole batch, part, dropout's key)."""
    pairs = jnp.maximum(jnp.sum(batch.valid), 1).astype(jnp.float32)
    key = jax.random.fold_in(jax.random.wrap_key_data(state.key), state.step)
    parts = split(batch, accumulation)
    first = jax.tree.map(lambda leaf: leaf[0], parts)
    if accumulation == 1:
        return one(pairs, first, key)

    def add(so_far: T, part: tuple[Batch, jax.Array]) -> tuple[T, None]:
        return jax.tree.map(jnp.add, so_far, one(pairs, *part)), None

    keys = jax.random.split(key, accumulation)
    zero = jax.tree.map(lambda leaf: jnp.zeros(leaf.shape, leaf.dtype), jax.eval_shape(one, pairs, first, key))
    return jax.lax.scan(add, zero, (parts, keys))[0]


def _gradient(
    loss: Loss, state: TrainState, frozen: Frozen, dropout: bool, pairs: Float[Array, ""], part: Batch, key: jax.Array
) -> tuple[dict, Metrics]:
    differentiated = jax.value_and_grad(loss, has_aux=True)
    (_, metrics), gradient = differentiated(state.lora, frozen, part, pairs, state.memory, key if dropout else None)
    return gradient, metrics
