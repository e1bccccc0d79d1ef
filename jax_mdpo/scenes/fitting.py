"""One way to fit weights from scratch: AdamW with warm-up and a cosine, over shuffled epochs."""

from collections.abc import Callable
from typing import Any, TypeVar

import jax
import numpy as np
import optax

from jax_mdpo.core.config import config
from jax_mdpo.core.seeds import generator
from jax_mdpo.training.progress import Progress

Weights = TypeVar("Weights")
Loss = Callable[[Any, Any], jax.Array]  # weights, a batch → a number


@config
class Fit:
    """steps of `batch` examples each; learning_rate: the highest, reached after a tenth of them."""

    steps: int
    batch: int = 64
    learning_rate: float = 3e-3


def fit(loss: Loss, weights: Weights, examples: Any, how: Fit, *, seed: int, label: str) -> Weights:
    """The weights after fitting. examples: arrays whose first axis runs over them. A progress bar shows the loss."""
    schedule = optax.warmup_cosine_decay_schedule(0.0, how.learning_rate, how.steps // 10, how.steps)
    optimizer = optax.chain(optax.clip_by_global_norm(1.0), optax.adamw(schedule, b2=0.98, weight_decay=0.01))

    @jax.jit
    def step(weights: Weights, state: optax.OptState, batch: Any) -> tuple[Weights, optax.OptState, jax.Array]:
        value, slope = jax.value_and_grad(loss)(weights, batch)
        updates, state = optimizer.update(slope, state, weights)
        return optax.apply_updates(weights, updates), state, value

    state = jax.jit(optimizer.init)(weights)
    order = _order(len(jax.tree.leaves(examples)[0]), how, seed, label)
    with Progress(how.steps, every=100, label=label) as progress:
        for number, places in enumerate(order, start=1):
            weights, state, value = step(weights, state, jax.tree.map(lambda leaf, at=places: leaf[at], examples))
            progress.update(number, {"loss": float(value)})
    return weights


def _order(count: int, how: Fit, seed: int, label: str) -> np.ndarray:
    """Which examples each step takes: epoch after epoch, each in an order of its own."""
    epochs = -(-how.steps * how.batch // count)
    shuffled = [generator(seed, label, epoch).permutation(count) for epoch in range(epochs)]
    return np.concatenate(shuffled)[: how.steps * how.batch].reshape(how.steps, how.batch)
