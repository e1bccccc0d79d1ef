"""The two-layer projector between tower and decoder."""

import jax.numpy as jnp
from flax import nnx
from jax.typing import DTypeLike
from jaxtyping import Array, Float

from jax_mdpo.layers.activations import activation
from jax_mdpo.layers.linear import Linear
from jax_mdpo.weights.tables import Rule, linear


class Projector(nnx.Module):
    """linear_2(act(linear_1(x))), from the tower's width to the decoder's."""

    def __init__(self, inputs: int, outputs: int, *, act: str, bias: bool, rngs: nnx.Rngs, dtype: DTypeLike = jnp.float32):
        self.linear_1 = Linear(inputs, outputs, axes=("patch", "embed"), bias=bias, rngs=rngs, dtype=dtype)
        self.linear_2 = Linear(outputs, outputs, axes=("embed", "heads"), bias=bias, rngs=rngs, dtype=dtype)
        self.act = act

    def __call__(self, x: Float[Array, "... inputs"]) -> Float[Array, "... outputs"]:
        return self.linear_2(activation(self.act)(self.linear_1(x)))


def rules(*, bias: bool) -> list[Rule]:
    """Stored tensors of the projector, relative to its place in the checkpoint."""
    return [*linear("linear_1", bias=bias), *linear("linear_2", bias=bias)]
