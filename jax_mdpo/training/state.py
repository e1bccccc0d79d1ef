"""What a step changes, and all that a training checkpoint holds of arrays."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, Int, UInt32

from jax_mdpo.objectives.term import Term, started


class TrainState(NamedTuple):
    """step: steps done. lora: the policy's factors, nested by attribute path, float32. key: random words, the same all run long.

    memory: running values of the objectives' terms, by label and name.
    """

    step: Int[Array, ""]
    lora: dict
    opt_state: Any
    key: UInt32[Array, " words"]
    memory: dict[str, dict[str, Float[Array, ""]]] = {}  # noqa: RUF012 (a tuple's default; nothing writes to it)


def initial_state(lora: dict, optimizer: optax.GradientTransformation, seed: int, terms: Sequence[Term] = ()) -> TrainState:
    """The state before the first step. The optimiser's moments lie as the factors do."""
    opt_state = optimizer.init(lora)
    state = TrainState(jnp.zeros((), jnp.int32), lora, opt_state, jax.random.key_data(jax.random.key(seed)), started(terms))
    return _on_one_mesh(state)


def _on_one_mesh(state: TrainState) -> TrainState:
    """Scalars that optax makes lie on one device; a step over a mesh needs them on all of it."""
    factors = jax.tree.leaves(state.lora)
    mesh = factors[0].sharding.mesh
    everywhere = jax.sharding.NamedSharding(mesh, jax.sharding.PartitionSpec())

    def place(leaf: jax.Array) -> jax.Array:
        return leaf if isinstance(leaf.sharding, jax.sharding.NamedSharding) else jax.device_put(leaf, everywhere)

    return jax.tree.map(place, state)
