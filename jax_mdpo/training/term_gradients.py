"""How strongly each term of the loss pulls at the LoRA factors: the norm of its own gradient, for the log."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from jax_mdpo.core.batch import Batch
from jax_mdpo.models.actors import Frozen
from jax_mdpo.training.optimizer import global_norm
from jax_mdpo.training.state import TrainState
from jax_mdpo.training.step import Loss, Metrics, over_parts


def make_term_norms(loss: Loss, *, accumulation: int, dropout: bool) -> Callable[[Frozen, TrainState, Batch], Metrics]:
    """The compiled (frozen, state, batch) → `grad_norm/<label>` of each term, in the step that takes this state and batch.

    A program beside the step's, which is the same with or without it. It changes nothing and uses nothing up.
    """

    def norms(frozen: Frozen, state: TrainState, batch: Batch) -> Metrics:
        each = jax.vmap(global_norm)(term_gradients(loss, frozen, state, batch, accumulation=accumulation, dropout=dropout))
        return {f"grad_norm/{term.label}": each[place] for place, term in enumerate(loss.terms)}

    return loss.actors.compiled(norms)


def term_gradients(loss: Loss, frozen: Frozen, state: TrainState, batch: Batch, *, accumulation: int, dropout: bool) -> dict:
    """The gradient of each term's weight · mean over the batch's valid pairs: the factors with a leading axis of terms.

    They add up to the step's gradient. The terms share one forward pass; its results stay in memory while one backward pass for each
    term runs, one after the other.
    """

    def of_part(pairs: Float[Array, ""], part: Batch, key: jax.Array) -> dict:
        def losses(lora: dict) -> Float[Array, " terms"]:
            _, metrics = loss(lora, frozen, part, pairs, state.memory, key if dropout else None)
            return jnp.stack([term.weight * metrics[f"loss/{term.label}"] for term in loss.terms])

        _, pull_back = jax.vjp(losses, state.lora)
        return jax.lax.map(lambda one: pull_back(one)[0], jnp.eye(len(loss.terms)))

    return over_parts(of_part, state, batch, accumulation)
