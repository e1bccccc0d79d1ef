"""Planned batches of a data set as a run reads them."""

from collections.abc import Iterator
from dataclasses import dataclass

from jax_mdpo.core.batch import HostBatch
from jax_mdpo.data.batches import BatchPlan
from jax_mdpo.data.dataset import PairDataset
from jax_mdpo.data.feature_cache import FeatureCache
from jax_mdpo.data.reference_cache import ReferenceCache
from jax_mdpo.data.variants import Variants
from jax_mdpo.recipe.loading import mesh_of
from jax_mdpo.recipe.settings import RunSettings
from jax_mdpo.sharding.placing import local_rows


@dataclass(frozen=True)
class Feed:
    """How planned batches are made: this process's rows, the image variants that the views need.

    features, reference: what was computed beforehand.
    """

    settings: RunSettings
    variants: Variants
    plans: list[BatchPlan]
    features: FeatureCache | None = None
    reference: ReferenceCache | None = None

    def batches(self, data: PairDataset, start: int = 0) -> Iterator[HostBatch]:
        """The batches from number `start` on."""
        rows = local_rows(mesh_of(self.settings.mesh), self.settings.rows(data.settings))
        return data.batches(
            self.plans,
            rows=rows,
            variants=self.variants,
            features=self.features,
            reference=self.reference,
            changed=self.settings.asks_changed,
            start=start,
        )
