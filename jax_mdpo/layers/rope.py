"""Rotary position embedding, half-split as in LLaMA. Frequencies and angles are float32.

Scalings follow the definitions in transformers' modeling_rope_utils: `linear` divides frequencies by the factor, `llama3`
(Llama 3.1) divides the low ones, keeps the high ones and interpolates between.
"""

import math
from collections.abc import Mapping
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np
from jax.typing import DTypeLike
from jaxtyping import Array, Float, Int

from jax_mdpo.core.errors import WeightsError


class Turns(NamedTuple):
    """Cosine and sine of the angle of each position and frequency."""

    cos: Float[Array, "B T 1 half"]
    sin: Float[Array, "B T 1 half"]


def frequencies(head_size: int, parameters: Mapping[str, Any]) -> tuple[float, ...]:
    """The head_size / 2 inverse wavelengths, in radians per position. parameters: `rope_parameters` of a Hugging Face configuration."""
    base = 1.0 / float(parameters["rope_theta"]) ** (np.arange(0, head_size, 2, dtype=np.float32) / head_size)
    kind = parameters.get("rope_type", "default")
    if kind == "linear":
        base = base / parameters["factor"]
    elif kind == "llama3":
        base = _llama3(base, parameters)
    elif kind != "default":
        raise WeightsError(
            f"the checkpoint scales rotary positions by {kind!r}, which is not supported", expected="default, linear or llama3", got=kind
        )
    return tuple(float(f) for f in base)


def _llama3(base: np.ndarray, parameters: Mapping[str, Any]) -> np.ndarray:
    original = parameters["original_max_position_embeddings"]
    low, high = parameters["low_freq_factor"], parameters["high_freq_factor"]
    revolutions = original * base / (2 * math.pi)  # of each frequency over the original context
    share = np.clip((revolutions - low) / (high - low), 0.0, 1.0)
    return ((1 - share) / parameters["factor"] + share) * base


def turns(positions: Int[Array, "B T"], inverse_wavelengths: tuple[float, ...], dtype: DTypeLike) -> Turns:
    """Cosine and sine of every position's angles, [B, T, 1, H / 2]; made once and used by every layer."""
    angles = positions[:, :, None, None].astype(jnp.float32) * jnp.asarray(inverse_wavelengths, jnp.float32)
    return Turns(jnp.cos(angles).astype(dtype), jnp.sin(angles).astype(dtype))


def rotate(x: Float[Array, "B T N H"], by: Turns) -> Float[Array, "B T N H"]:
    """Turns each pair (x[i], x[i + H/2]) by its position's angle for frequency i."""
    first, second = jnp.split(x, 2, axis=-1)
    return jnp.concatenate([first * by.cos - second * by.sin, second * by.cos + first * by.sin], axis=-1)
