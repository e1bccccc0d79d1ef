"""Activation functions under the names that Hugging Face configurations use."""

from collections.abc import Callable

import jax
from jaxtyping import Array, Float

from jax_mdpo.core.errors import WeightsError, nearest

Activation = Callable[[Float[Array, "..."]], Float[Array, "..."]]


def quick_gelu(x: Float[Array, "..."]) -> Float[Array, "..."]:
    """x · σ(1.702 x), CLIP's approximation."""
    return x * jax.nn.sigmoid(1.702 * x)


def gelu(x: Float[Array, "..."]) -> Float[Array, "..."]:
    """The exact, error-function form."""
    return jax.nn.gelu(x, approximate=False)


def gelu_tanh(x: Float[Array, "..."]) -> Float[Array, "..."]:
    """The tanh approximation."""
    return jax.nn.gelu(x, approximate=True)


ACTIVATIONS: dict[str, Activation] = {
    "quick_gelu": quick_gelu,
    "gelu": gelu,
    "gelu_new": gelu_tanh,
    "gelu_pytorch_tanh": gelu_tanh,
    "silu": jax.nn.silu,
    "relu": jax.nn.relu,
}


def activation(name: str) -> Activation:
    """The function of that name, or a WeightsError that names the nearest one."""
    if name not in ACTIVATIONS:
        raise WeightsError(f"the checkpoint asks for the activation {name!r}, which is not known here", fix=nearest(name, ACTIVATIONS))
    return ACTIVATIONS[name]
