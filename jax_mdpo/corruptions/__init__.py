"""Corruptions of what the model sees, made on the device. A new one is a file beside this one and a line in the table."""

from jax_mdpo.corruptions.noise import Noise
from jax_mdpo.corruptions.protocol import Corruption
from jax_mdpo.corruptions.token_mask import TokenMask

CORRUPTIONS: dict[str, type[Corruption]] = {"noise": Noise, "token_mask": TokenMask}

__all__ = ["CORRUPTIONS", "Corruption", "Noise", "TokenMask"]
