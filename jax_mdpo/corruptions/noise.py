"""Diffusion noise: what is left of an image after some steps of a forward diffusion process."""

from typing import Literal

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from jax_mdpo.core.config import config
from jax_mdpo.corruptions.protocol import Corruption

SPAN = 6.0  # the sigmoid schedule runs over −6 to 6


@config
class Noise(Corruption):
    """v'(k) = √ᾱ_k · v + √(1 − ᾱ_k) · ε on normalised pixels, ε ~ N(0, I), ᾱ the running product of 1 − β_t.

    step: k, counted from zero. steps: of the whole process. betas: the first and last β. schedule: how β grows between them: along a
    sigmoid from −6 to 6 or linearly. The defaults are those of UE-DPO (arXiv 2605.04874) and of VCD, whose schedule it is (Leng et al.
    2023, arXiv 2311.16922; repository DAMO-NLP-SG/VCD).
    """

    step: int = 500
    steps: int = 1000
    betas: tuple[float, float] = (1e-5, 0.005)
    schedule: Literal["sigmoid", "linear"] = "sigmoid"

    def __post_init__(self) -> None:
        if not 0 <= self.step < self.steps:
            raise ValueError(f"step must be one of 0 … steps − 1, got step {self.step} of {self.steps}")
        if not 0 < self.betas[0] <= self.betas[1] < 1:
            raise ValueError(f"betas must be 0 < first <= last < 1, got {self.betas}")

    @property
    def kept(self) -> float:
        """ᾱ at `step`: the share of the image's variance in the result."""
        first, last = self.betas
        grown = np.linspace(0.0, 1.0, self.steps)
        if self.schedule == "sigmoid":
            grown = 1 / (1 + np.exp(-np.linspace(-SPAN, SPAN, self.steps)))
        return float(np.cumprod(1 - (grown * (last - first) + first))[self.step])

    def pixels(self, pixels: Float[Array, "h w C"], key: jax.Array) -> Float[Array, "h w C"]:
        noise = jax.random.normal(key, pixels.shape, jnp.float32)
        return np.float32(np.sqrt(self.kept)) * pixels + np.float32(np.sqrt(1 - self.kept)) * noise
