"""Equal blocks one after the other, held as one block whose leaves carry a leading layer axis."""

from collections.abc import Callable
from typing import Any, Literal

import jax
from flax import nnx
from jaxtyping import Array, Float

Remat = Literal["none", "full"]


class Stack(nnx.Module):
    """L blocks of one kind. `scan` compiles one block and loops over it; without it the loop is unrolled.

    remat: "full" keeps only each block's input for the backward pass and computes the rest again; "none" keeps everything.
    """

    def __init__(self, make: Callable[[nnx.Rngs], nnx.Module], length: int, *, rngs: nnx.Rngs, scan: bool = True, remat: Remat = "none"):
        keys = jax.random.split(rngs.params(), length)
        graph = nnx.graphdef(nnx.eval_shape(lambda: make(nnx.Rngs(0))))
        self.block = nnx.merge(graph, jax.vmap(lambda key: nnx.state(make(nnx.Rngs(params=key))))(keys))
        self.length = length
        self.scan = scan
        self.remat = remat

    def __call__(self, x: Float[Array, "B T D"], *context: Any, start: int = 0, stop: int | None = None) -> Float[Array, "B T D"]:
        """Runs blocks start..stop, each called as block(x, *context)."""
        graph, state = nnx.split(self.block)
        count = (self.length if stop is None else stop) - start
        if count < self.length:
            state = jax.tree.map(lambda leaf: leaf[start : start + count], state)

        def body(x: Float[Array, "B T D"], layer: Any) -> tuple[Float[Array, "B T D"], None]:
            return nnx.merge(graph, layer)(x, *context), None

        if self.remat == "full":
            body = jax.checkpoint(body, prevent_cse=not self.scan)
        if self.scan:
            return jax.lax.scan(body, x, state)[0]
        for i in range(count):
            x, _ = body(x, jax.tree.map(lambda leaf, i=i: leaf[i], state))
        return x
