"""The CLIP tower of the tiny LLaVA, fitted from scratch to tell which objects are in a picture.

It is taught in the decoder's own words: whether a kind is there is read off how much one of the patches, as the projector hands it on,
looks like the vector of the kind's word. The decoder then finds pictures told in a language that it learns quickly.
"""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import nnx
from jaxtyping import Array, Bool, Float, Int, UInt8

from jax_mdpo.models.families.llava.model import Llava
from jax_mdpo.scenes.fitting import Fit, fit

AT_ONCE = 500  # pictures that are looked at without a gradient
ABSENT = -3.0  # the logit of a kind to begin with: most are absent


class Looking(NamedTuple):
    """A model whose tower can be asked which kinds it sees. words: the token of each kind. bias: of each kind's logit."""

    model: Llava
    words: Int[np.ndarray, " kinds"]
    bias: Float[Array, " kinds"]

    def logits(self, frames: UInt8[Array, "B h w 3"]) -> Float[Array, "B kinds"]:
        """Of each kind, from the patch that looks most like its word."""
        patches = jax.nn.standardize(self.model.project(self.model.look(self.model.normalise(frames))))
        vectors = self.model.language_model.embed_tokens(jnp.asarray(self.words))
        return jnp.max(jnp.einsum("bpd,kd->bpk", patches, vectors), axis=1) + self.bias


def within_tower(path: tuple, value: object) -> bool:
    """Whether a weight is the tower's."""
    return path[0] == "vision_tower"


def fit_tower(
    model: Llava,
    words: Int[np.ndarray, " kinds"],
    frames: UInt8[np.ndarray, "N h w 3"],
    labels: Bool[np.ndarray, "N kinds"],
    how: Fit,
    *,
    seed: int,
) -> Looking:
    """Fits `model`'s tower, its projector and its words' vectors in place."""
    graph, start = nnx.split(model)

    def loss(weights: tuple[nnx.State, Array], batch: tuple[Array, Array]) -> Array:
        (state, bias), (frames, labels) = weights, batch
        logits = Looking(nnx.merge(graph, state), words, bias).logits(frames)
        return jnp.mean(jnp.sum(optax.sigmoid_binary_cross_entropy(logits, labels.astype(jnp.float32)), axis=-1))

    state, bias = fit(loss, (start, jnp.full(words.shape, ABSENT)), (frames, labels), how, seed=seed, label="tower")
    nnx.update(model, state)
    return Looking(model, words, bias)


def found(looking: Looking, frames: UInt8[np.ndarray, "N h w 3"]) -> Bool[np.ndarray, "N kinds"]:
    """Which kinds are seen in the pictures."""
    return _in_pieces(jax.jit(lambda model, frames: looking._replace(model=model).logits(frames) > 0), looking.model, frames)


def features(model: Llava, frames: UInt8[np.ndarray, "N h w 3"]) -> Float[np.ndarray, "N 1 P W"]:
    """What the tower makes of the pictures, as a batch keeps it."""
    return _in_pieces(jax.jit(lambda model, frames: model.look(model.normalise(frames))), model, frames)[:, None]


def _in_pieces(look: Callable[..., Array], model: Llava, frames: UInt8[np.ndarray, "N h w 3"]) -> np.ndarray:
    return np.concatenate([np.asarray(look(model, frames[at : at + AT_ONCE])) for at in range(0, len(frames), AT_ONCE)])
