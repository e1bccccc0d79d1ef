"""Equal blocks one after the other, held as one block whose leaves carry a leading layer axis."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float

from jax_mdpo.layers.execution import Execution
from jax_mdpo.layers.gathering import gathered
from jax_mdpo.layers.remat import rematerialised

Collected = Callable[[Any, Array, Any], tuple[Array, Any]]


class Stack(nnx.Module):
    """L blocks of one kind."""

    def __init__(self, make: Callable[[nnx.Rngs], nnx.Module], length: int, *, rngs: nnx.Rngs, execution: Execution):
        keys = jax.random.split(rngs.params(), length)
        graph = nnx.graphdef(nnx.eval_shape(lambda: make(nnx.Rngs(0))))
        self.block = nnx.merge(graph, jax.vmap(lambda key: nnx.state(make(nnx.Rngs(params=key))))(keys))
        self.length = length
        self.execution = execution

    def __call__(self, x: Float[Array, "B T D"], *context: Any, start: int = 0, stop: int | None = None) -> Float[Array, "B T D"]:
        """Runs blocks start..stop, each called as block(x, *context)."""
        graph, state = nnx.split(self.block)
        count = (self.length if stop is None else stop) - start
        if count < self.length:
            state = jax.tree.map(lambda leaf: leaf[start : start + count], state)

        def body(x: Float[Array, "B T D"], layer: Any) -> tuple[Float[Array, "B T D"], None]:
            return gathered(nnx.merge(graph, layer))(x, *context), None

        run = rematerialised(body, self.execution.remat, scanned=self.execution.scan)
        if self.execution.scan:
            return jax.lax.scan(run, x, state)[0]
        for i in range(count):
            x, _ = run(x, jax.tree.map(lambda leaf, i=i: leaf[i], state))
        return x

    def collect(self, call: Collected, x: Float[Array, "B T D"], per_layer: Any = None) -> tuple[Float[Array, "B T D"], Any]:
        """x through all blocks, each called as call(block, x, its slice of `per_layer`) → (x, y); and the y, along a layer axis.

        For passes without a gradient: nothing is rematerialised.
        """
        graph, state = nnx.split(self.block)

        def body(x: Float[Array, "B T D"], layer: Any) -> tuple[Float[Array, "B T D"], Any]:
            weights, own = layer
            return call(nnx.merge(graph, weights), x, own)

        if self.execution.scan:
            return jax.lax.scan(body, x, (state, per_layer))
        found = []
        for i in range(self.length):
            x, y = body(x, jax.tree.map(lambda leaf, i=i: leaf[i], (state, per_layer)))
            found.append(y)
        return x, jax.tree.map(lambda *ys: jnp.stack(ys), *found)
