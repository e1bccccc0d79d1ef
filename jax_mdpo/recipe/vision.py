"""What the frozen tower makes of the images, computed once and kept."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
from einops import rearrange
from jaxtyping import Array, Float

from jax_mdpo.core.batch import Batch
from jax_mdpo.core.errors import ConfigError
from jax_mdpo.data.batches import BatchPlan
from jax_mdpo.data.dataset import PairDataset
from jax_mdpo.data.feature_cache import VERSION, FeatureCache, Form, UnfinishedFeatures
from jax_mdpo.data.manifest import Manifest
from jax_mdpo.models.actors import Actors, Frozen
from jax_mdpo.models.checkpoint import Checkpoint
from jax_mdpo.models.images import look_at
from jax_mdpo.recipe.caching import Found, by_record, completed, compute, made_from
from jax_mdpo.recipe.parts import corruptions_of, images_of, variants_of
from jax_mdpo.recipe.settings import RunSettings
from jax_mdpo.sharding.placing import local_rows

Features = dict[str, np.ndarray]


@dataclass(frozen=True)
class Vision:
    """A run's tower, ready to look."""

    settings: RunSettings
    checkpoint: Checkpoint
    actors: Actors
    frozen: Frozen
    lora: dict

    def cached(self, key: str, data: PairDataset) -> FeatureCache | None:
        """The features of a data set's images, computed first where they are missing; None where the settings keep none.

        key: of the data set in the settings, and its folder in the cache. All processes must call it; process 0 writes.
        Raises ConfigError where an adapter would change the features.
        """
        if self.settings.vision.cache is None:
            return None
        if not self.actors.shared_tower:
            raise ConfigError(
                "vision.cache keeps the features of a frozen tower, but an adapter touches the tower or the projector",
                fix="leave out vision.cache, or take the tower and the projector out of lora.target_modules",
            )
        folder, variants = Path(self.settings.vision.cache).absolute() / key, images_of(self.settings)
        form = self._form(data)
        made = {
            "form of the features": f"{VERSION}: {form.shape} {form.dtype}",
            **made_from(self.checkpoint, data, self.settings, images=set(variants)),
        }
        wanted = Manifest(variants, made)

        def fill() -> None:
            compute(
                lambda: UnfinishedFeatures(folder, wanted, form),
                data,
                lambda plans: self._evaluated(data, plans, variants),
                pairs=self.settings.batch.pairs,
                what=f"{folder}: the vision features",
                label="vision features",
            )

        completed(folder, wanted, fill)
        return FeatureCache.open(folder, variants, form)

    def _form(self, data: PairDataset) -> Form:
        blank = np.asarray(self.checkpoint.processor.blank())

        def look(frozen: Frozen, lora: dict, framed: Array) -> Float[Array, "B P W"]:
            module = self.actors.select(frozen, lora)("policy", False)
            return module.look(module.normalise(framed))

        with self.checkpoint.scope():
            seen = jax.eval_shape(look, self.frozen, self.lora, jnp.asarray(blank)[None])
        return Form(len(data), seen.shape[1:], str(seen.dtype))

    def _evaluated(self, data: PairDataset, plans: list[BatchPlan], variants: tuple[str, ...]) -> Iterator[Found[Features]]:
        """Batch by batch, for every record (by its place) its features; None for bad records."""

        @jax.jit
        def forward(frozen: Frozen, lora: dict, batch: Batch) -> dict[str, Float[Array, "E P W"]]:
            module = self.actors.select(frozen, lora)("policy", False)
            seen = look_at(module, batch, variants, corruptions_of(self.settings))
            by_variant = rearrange(seen, "(B v K) P W -> v (B K) P W", v=len(variants), K=batch.valid.shape[1])
            return dict(zip(variants, by_variant, strict=True))

        rows = self.settings.rows(data.settings)
        hosts = data.batches(plans, rows=local_rows(self.checkpoint.mesh, rows), variants=variants_of(self.settings, variants))
        return by_record(self.checkpoint, rows, plans, hosts, lambda batch: forward(self.frozen, self.lora, batch), _picked)


def _picked(found: Features, at: int, place: int) -> Features:
    return {variant: values[at] for variant, values in found.items()}
