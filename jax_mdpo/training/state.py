"""What a step changes, and all that a training checkpoint holds of arrays."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Int, UInt32


class TrainState(NamedTuple):
    """step: steps done. lora: the policy's factors, nested by attribute path, float32. key: random words, the same all run long."""

    step: Int[Array, ""]
    lora: dict
    opt_state: Any
    key: UInt32[Array, " words"]


def initial_state(lora: dict, optimizer: optax.GradientTransformation, seed: int) -> TrainState:
    """The state before the first step. The optimiser's moments lie as the factors do."""
    opt_state = optimizer.init(lora)
    state = TrainState(jnp.zeros((), jnp.int32), lora, opt_state, jax.random.key_data(jax.random.key(seed)))
    return _on_one_mesh(state)


def _on_one_mesh(state: TrainState) -> TrainState:
    """Scalars that optax makes lie on one device; a step over a mesh needs them on all of it."""
    factors = jax.tree.leaves(state.lora)
    mesh = factors[0].sharding.mesh
    everywhere = jax.sharding.NamedSharding(mesh, jax.sharding.PartitionSpec())

    def place(leaf: jax.Array) -> jax.Array:
        return leaf if isinstance(leaf.sharding, jax.sharding.NamedSharding) else jax.device_put(leaf, everywhere)

    return jax.tree.map(place, state)
