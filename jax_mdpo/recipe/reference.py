"""The reference's log-probs, computed once and kept: the verb `reference`, and what `train` does where they are missing."""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from jax_mdpo.core.batch import Batch
from jax_mdpo.core.errors import ConfigError, UserError
from jax_mdpo.core.tokens import Tokens
from jax_mdpo.core.views import Need, View
from jax_mdpo.data.batches import BatchPlan
from jax_mdpo.data.dataset import PairDataset
from jax_mdpo.data.feature_cache import FeatureCache
from jax_mdpo.data.manifest import Manifest
from jax_mdpo.data.reference_cache import VERSION, ReferenceCache, Unfinished, named
from jax_mdpo.models.actors import Actors, AdapterWeights, Frozen, make_actors
from jax_mdpo.models.checkpoint import Checkpoint
from jax_mdpo.models.plan import plan
from jax_mdpo.models.views import evaluate
from jax_mdpo.recipe.caching import Found, by_record, completed, compute, made_from
from jax_mdpo.recipe.compilation import keep_compiled_programs
from jax_mdpo.recipe.loading import load_base, mesh_of
from jax_mdpo.recipe.parts import adapters_of, corruptions_of, variants_of
from jax_mdpo.recipe.settings import RunSettings
from jax_mdpo.recipe.vision import Vision
from jax_mdpo.sharding.placing import local_rows

Values = dict[View, np.ndarray]


def reference(settings: RunSettings) -> Path:
    """Computes the caches of `data` and, where there is one, `eval_data` in settings.reference.cache, and returns that folder.

    With settings.vision.cache the images' features are computed before, and kept too. Goes on where an earlier call stopped.
    Raises UserError where the folder holds a cache that was made from something else.
    """
    if settings.reference.cache is None:
        raise ConfigError("the settings name no place for the reference's log-probs", fix="set reference.cache to a folder")
    keep_compiled_programs()
    checkpoint = load_base(settings.model, mesh_of(settings.mesh))
    policy, adapter = adapters_of(settings, checkpoint)
    actors = make_actors(checkpoint, policy, adapter)
    ours, vision = Reference(settings, checkpoint, adapter, *actors), Vision(settings, checkpoint, *actors)
    for key, chosen in (("data", settings.data), ("eval_data", settings.eval_data)):
        if chosen is not None:
            data = PairDataset.open(chosen, checkpoint.processor, settings.responses)
            ours.cached(key, data, vision.cached(key, data))
    return Path(settings.reference.cache)


@dataclass(frozen=True)
class Reference:
    """A run's reference, ready to be evaluated. adapter: what it carries beside the base, if anything."""

    settings: RunSettings
    checkpoint: Checkpoint
    adapter: AdapterWeights | None
    actors: Actors
    frozen: Frozen
    lora: dict

    def cached(self, key: str, data: PairDataset, features: FeatureCache | None = None) -> ReferenceCache | None:
        """The log-probs of a data set's records, computed first where they are missing; None where the settings keep none.

        key: of the data set in the settings, and its folder in the cache. features: of the images, where they are kept.
        All processes must call it; process 0 writes.
        """
        if self.settings.reference.cache is None:
            return None
        folder, wanted = Path(self.settings.reference.cache).absolute() / key, self._manifest(data)

        def fill() -> None:
            compute(
                lambda: Unfinished(folder, data.index, wanted),
                data,
                lambda plans: self.evaluated(data, plans, features),
                pairs=self.settings.batch.pairs,
                what=f"{folder}: the reference's log-probs",
                label="reference",
            )

        completed(folder, wanted, fill)
        return ReferenceCache.open(folder, data.index, self.settings.reference_views)

    def _manifest(self, data: PairDataset) -> Manifest:
        views = self.settings.reference_views
        made = {
            "form of the cache": str(VERSION),
            **made_from(self.checkpoint, data, self.settings, images={view.image for view in views}),
            "reference_adapter": _digest_of(self.adapter),
            "tokens (data.prompt_format, data.max_length, data.overlong)": data.index.fingerprint(),
        }
        return Manifest(tuple(named(view) for view in views), made)

    def evaluated(self, data: PairDataset, plans: list[BatchPlan], features: FeatureCache | None = None) -> Iterator[Found[Values]]:
        """Batch by batch, for every record (by its place) the log-probs of its scored tokens; None for bad records."""
        settings = self.settings
        passes = plan(Need("reference", view, gradient=False) for view in settings.reference_views)

        @self.actors.compiled
        def forward(frozen: Frozen, lora: dict, batch: Batch) -> dict[View, Tokens]:
            select = self.actors.select(frozen, lora)
            found = evaluate(
                passes,
                batch,
                select,
                shared_tower=self.actors.shared_tower,
                chunk=settings.batch.logits_chunk,
                corruptions=corruptions_of(settings),
            )
            return {view: tokens for (_, view), tokens in found.items()}

        def pick(found: dict[View, Tokens], at: int, place: int) -> Values:
            return _finite({view: part.logps[at][part.scored[at]] for view, part in found.items()}, data, place)

        rows = settings.rows(data.settings)
        variants = variants_of(settings, passes.images)
        hosts = data.batches(plans, rows=local_rows(self.checkpoint.mesh, rows), variants=variants, features=features)
        return by_record(self.checkpoint, rows, plans, hosts, lambda batch: forward(self.frozen, self.lora, batch), pick)


def _finite(values: dict[View, np.ndarray], data: PairDataset, place: int) -> dict[View, np.ndarray]:
    if not all(np.isfinite(part).all() for part in values.values()):
        raise UserError(
            f"the reference's log-probs of record {data.records[place].id!r} are not finite",
            fix="use model.dtype: float32 or bfloat16, and check the weights",
        )
    return values


def _digest_of(adapter: AdapterWeights | None) -> str:
    if adapter is None:
        return "none"
    digest = hashlib.sha256()
    for name, factors in sorted(adapter.factors.items()):
        digest.update(repr((name, adapter.targets[name].scaling, [part.shape for part in factors])).encode())
        for part in factors:
            digest.update(np.ascontiguousarray(part).data)
    return digest.hexdigest()
