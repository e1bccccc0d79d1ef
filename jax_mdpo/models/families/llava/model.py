"""LLaVA-1.5 assembled."""

import jax.numpy as jnp
from flax import nnx
from jax.typing import DTypeLike
from jaxtyping import Array, Float, Int, UInt8

from jax_mdpo.layers.cache import Cache
from jax_mdpo.layers.execution import DEFAULT, Execution
from jax_mdpo.layers.linear import Linear, multiplied
from jax_mdpo.layers.rows import Rows
from jax_mdpo.models.families.llava.config import LlavaConfig
from jax_mdpo.models.parts.clip import ClipTower
from jax_mdpo.models.parts.llama import LlamaDecoder
from jax_mdpo.models.parts.projector import Projector


class Llava(nnx.Module):
    """A models.protocol.VisionLanguageModel."""

    def __init__(self, config: LlavaConfig, *, rngs: nnx.Rngs, dtype: DTypeLike = jnp.float32, execution: Execution = DEFAULT):
        text, vision = config.text, config.vision
        self.config = config
        self.vision_tower = ClipTower(vision, rngs=rngs, dtype=dtype, execution=execution)
        self.multi_modal_projector = Projector(
            vision.width * len(config.depths),
            text.width,
            act=config.projector_activation,
            bias=config.projector_bias,
            rngs=rngs,
            dtype=dtype,
        )
        self.language_model = LlamaDecoder(text, rngs=rngs, dtype=dtype, execution=execution)
        self.lm_head = nnx.data(None if config.tied_head else _head(config, rngs, dtype))

    @property
    def head_adapted(self) -> bool:
        """Whether an adapter sits on the output head."""
        return self.lm_head is not None and self.lm_head.adapter is not None

    def look(self, pixels: Float[Array, "B height width 3"]) -> Float[Array, "B P W"]:
        """Normalised pixels through the tower: its states at the configured depths, side by side."""
        states = self.vision_tower(pixels.astype(self.vision_tower.embeddings.class_embedding[...].dtype), self.config.depths)
        return jnp.concatenate([state if self.config.keep_class else state[:, 1:] for state in states], axis=-1)

    def project(self, seen: Float[Array, "B P W"]) -> Float[Array, "B P D"]:
        """The tower's states through the projector."""
        return self.multi_modal_projector(seen)

    def normalise(self, framed: UInt8[Array, "B height width 3"]) -> Float[Array, "B height width 3"]:
        """Raw pixels to the tower's input, in float32."""
        mean, std = (jnp.asarray(values, jnp.float32) for values in (self.config.pixel_mean, self.config.pixel_std))
        return (framed.astype(jnp.float32) * self.config.pixel_scale - mean) / std

    def embed(self, ids: Int[Array, "B T"], slots: Int[Array, "B T"], features: Float[Array, "B P D"]) -> Float[Array, "B T D"]:
        """Token vectors, with an image feature where a slot names one."""
        tokens = self.language_model.embed_tokens(ids)
        images = jnp.take_along_axis(features, jnp.maximum(slots, 0)[..., None], axis=1)
        return jnp.where((slots >= 0)[..., None], images.astype(tokens.dtype), tokens)

    def decode(self, x: Float[Array, "B T D"], rows: Rows) -> Float[Array, "B T D"]:
        """Hidden states after the last norm."""
        return self.language_model(x, rows)

    def prefill(self, x: Float[Array, "B T D"], rows: Rows, room: int) -> tuple[Float[Array, "B T D"], Cache]:
        """Hidden states of prompts, and their cache."""
        return self.language_model.prefill(x, rows, room)

    def extend(self, ids: Int[Array, " B"], cache: Cache) -> tuple[Float[Array, "B 1 D"], Cache]:
        """The hidden state of one more text token in every row, and the cache with it."""
        return self.language_model.extend(ids, cache)

    def logits(self, hidden: Float[Array, "B C D"]) -> Float[Array, "B C V"]:
        """The output head; sums in float32."""
        if self.lm_head is None:
            return multiplied(hidden, self.language_model.embed_tokens.weight[...].T, jnp.float32)
        return self.lm_head(hidden)


def _head(config: LlavaConfig, rngs: nnx.Rngs, dtype: DTypeLike) -> Linear:
    axes = ("embed", "vocab")
    return Linear(config.text.width, config.text.vocabulary, axes=axes, rngs=rngs, dtype=dtype, output_dtype=jnp.float32)
