"""The decoder of the tiny LLaVA, fitted from scratch to say what it is taught: captions and answers, from what the tower sees."""

import jax.numpy as jnp
import numpy as np
from flax import nnx
from jaxtyping import Array, Float

from jax_mdpo.core.batch import Batch
from jax_mdpo.core.views import CLEAN
from jax_mdpo.layers.rows import Rows
from jax_mdpo.logprobs.chunked import Asked, read_tokens
from jax_mdpo.models.families.llava.model import Llava
from jax_mdpo.models.images import encode
from jax_mdpo.models.protocol import VisionLanguageModel
from jax_mdpo.objectives.statistics import mean
from jax_mdpo.scenes.fitting import Fit, fit
from jax_mdpo.scenes.tower import within_tower


def fit_decoder(model: Llava, rows: Batch, how: Fit, *, seed: int) -> None:
    """Fits everything but the tower in place. rows: with the tower's features in the place of images."""
    graph, tower, rest = nnx.split(model, within_tower, ...)

    def loss(rest: nnx.State, batch: Batch) -> Array:
        return mean_loss(nnx.merge(graph, tower, rest), batch)

    nnx.update(model, fit(loss, rest, rows, how, seed=seed, label="decoder"))


def mean_loss(module: VisionLanguageModel, batch: Batch) -> Float[Array, ""]:
    """−log π of the scored tokens of all branches, in nats: averaged over a branch's tokens and over rows, summed over branches."""
    features = encode(module, batch, (CLEAN,), {})[CLEAN].features
    branches = list(batch.branches.values())
    ids, slots = (jnp.concatenate([getattr(part, name) for part in (batch.prefix, *branches)], axis=1) for name in ("ids", "slots"))
    rows = Rows(batch.prefix.segments, tuple(branch.segments for branch in branches))
    hidden = module.decode(module.embed(ids, slots, features), rows)[:, batch.prefix.ids.shape[1] :]
    targets, scored = (jnp.concatenate([getattr(branch, name) for branch in branches], axis=1) for name in ("targets", "scored"))
    read = read_tokens(hidden, Asked(targets), module.logits, chunk=targets.shape[1], learning=True)
    ends = np.cumsum([branch.ids.shape[1] for branch in branches])[:-1]
    parts = zip(jnp.split(read.logps, ends, axis=1), jnp.split(scored, ends, axis=1), strict=True)
    return -sum(jnp.mean(mean(logps, mask)) for logps, mask in parts)
