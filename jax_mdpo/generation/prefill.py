"""Prompts through tower and decoder: the logits of what follows, and the cache."""

import jax.numpy as jnp
from jaxtyping import Array, Float

from jax_mdpo.core.batch import Batch
from jax_mdpo.core.views import CLEAN
from jax_mdpo.layers.cache import Cache
from jax_mdpo.layers.rows import Rows
from jax_mdpo.models.images import encode
from jax_mdpo.models.protocol import VisionLanguageModel


def prefill(module: VisionLanguageModel, batch: Batch, room: int) -> tuple[Float[Array, "B V"], Cache]:
    """Of prompts that are one pair's prefix each, without branches. room: how many tokens may follow."""
    prompt = batch.prefix
    seen = encode(module, batch, (CLEAN,), {})[CLEAN]
    hidden, cache = module.prefill(module.embed(prompt.ids, prompt.slots, seen.features), Rows(prompt.segments), room)
    last = jnp.maximum(jnp.sum(prompt.mask, axis=1) - 1, 0)  # prompts are padded on the right
    return module.logits(jnp.take_along_axis(hidden, last[:, None, None], axis=1))[:, 0], cache
