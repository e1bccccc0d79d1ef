"""Hiding a random share of the image's tokens from the decoder."""

import jax
from jaxtyping import Array, Bool

from jax_mdpo.core.config import config
from jax_mdpo.corruptions.protocol import Corruption


@config
class TokenMask(Corruption):
    """Each image keeps a random subset of its tokens, in their order; the others are hidden. share: of the tokens that are hidden.

    The tower sees the whole image, the decoder only what is left: an answer must be written from part of the evidence. In the manner of
    BDHS (Amirloo et al. 2024, arXiv 2407.02477), which masks image tokens in the language model.
    """

    share: float = 0.5

    def __post_init__(self) -> None:
        if not 0 < self.share <= 1:
            raise ValueError(f"share must be 0 < share <= 1 of the image's tokens, got {self.share}")

    def visible(self, count: int, key: jax.Array) -> Bool[Array, " F"]:
        hidden = max(1, round(self.share * count))
        return jax.random.permutation(key, count) >= hidden
