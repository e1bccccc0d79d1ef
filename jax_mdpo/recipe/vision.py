"""What the frozen tower makes of the images, computed once and kept."""

from collections.abc import Iterator
from contextlib import ExitStack
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
from jax_mdpo.data.packing import PADDING
from jax_mdpo.models.actors import Actors, Frozen
from jax_mdpo.models.checkpoint import Checkpoint
from jax_mdpo.models.images import look_at
from jax_mdpo.recipe.caching import LINES, completed, made_from
from jax_mdpo.recipe.parts import corruptions_of, images_of, variants_of
from jax_mdpo.recipe.settings import RunSettings
from jax_mdpo.sharding.placing import local_rows, placing
from jax_mdpo.training.processes import gathered, is_main, whole
from jax_mdpo.training.progress import Progress

Features = dict[str, np.ndarray] | None


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
        completed(folder, wanted, lambda: self._compute(folder, data, wanted, form))
        return FeatureCache.open(folder, variants, form)

    def _form(self, data: PairDataset) -> Form:
        blank = np.asarray(self.checkpoint.processor.blank())

        def look(frozen: Frozen, lora: dict, framed: Array) -> Float[Array, "B P W"]:
            module = self.actors.select(frozen, lora)("policy", False)
            return module.look(module.normalise(framed))

        with self.checkpoint.scope():
            seen = jax.eval_shape(look, self.frozen, self.lora, jnp.asarray(blank)[None])
        return Form(len(data), seen.shape[1:], str(seen.dtype))

    def _compute(self, folder: Path, data: PairDataset, wanted: Manifest, form: Form) -> None:
        """Process 0 knows what is there already, and writes; the others take part in the forward passes."""
        with ExitStack() as stack:
            unfinished = stack.enter_context(UnfinishedFeatures(folder, wanted, form)) if is_main() else None
            known = np.zeros(len(data), bool)
            known[gathered(unfinished.places if unfinished else [])] = True
            plans = [one for one in data.ordered_batches(batch_size=self.settings.batch.pairs) if not known[one.present].all()]
            shown = Progress(len(plans), every=max(1, len(plans) // LINES), shown=is_main(), label="vision features", unit="batch")
            progress = stack.enter_context(shown)
            progress.note(f"the vision features of {np.sum(~known)} records are computed into {folder}")
            for number, found in enumerate(self._evaluated(data, plans, wanted.holds), start=1):
                for place, features in found.items():
                    if unfinished is not None and not known[place]:
                        unfinished.add(place, features)
                progress.update(number, {})
            if unfinished is not None:
                unfinished.finish()

    def _evaluated(self, data: PairDataset, plans: list[BatchPlan], variants: tuple[str, ...]) -> Iterator[dict[int, Features]]:
        """Batch by batch, for every record (by its place) its features; None for bad records."""

        @jax.jit
        def forward(frozen: Frozen, lora: dict, batch: Batch) -> dict[str, Float[Array, "E P W"]]:
            module = self.actors.select(frozen, lora)("policy", False)
            seen = look_at(module, batch, variants, corruptions_of(self.settings))
            by_variant = rearrange(seen, "(B v K) P W -> v (B K) P W", v=len(variants), K=batch.valid.shape[1])
            return dict(zip(variants, by_variant, strict=True))

        rows = self.settings.rows(data.settings)
        mine, put = local_rows(self.checkpoint.mesh, rows), placing(self.checkpoint.mesh, rows)
        hosts = data.batches(plans, rows=mine, variants=variants_of(self.settings, variants))
        for one, host in zip(plans, hosts, strict=True):
            with self.checkpoint.scope():
                batch = put(host.batch)
                features, valid = whole((forward(self.frozen, self.lora, batch), batch.valid))
            good = valid.ravel()
            yield {
                place: {variant: values[at] for variant, values in features.items()} if good[at] else None
                for at, place in enumerate(one.records)
                if place != PADDING
            }
