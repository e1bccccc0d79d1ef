"""One batch from disk: images opened, framed, their hard negatives made, and the rows collated. Runs in the workers."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, TypeVar

import numpy as np
from PIL import Image

from jax_mdpo.core.batch import HostBatch
from jax_mdpo.core.errors import RecordError
from jax_mdpo.core.protocols import Processor
from jax_mdpo.core.records import ImageSource
from jax_mdpo.core.views import CHOSEN, CLEAN, REJECTED, RESPONSES, View
from jax_mdpo.data.batches import BatchPlan
from jax_mdpo.data.collate import collate
from jax_mdpo.data.feature_cache import FeatureCache
from jax_mdpo.data.hard_negatives.protocol import HardNegative, no_image, no_rejected_image
from jax_mdpo.data.images import open_image
from jax_mdpo.data.index import TokenIndex
from jax_mdpo.data.layout import LaidOut, lay_out
from jax_mdpo.data.packing import PADDING
from jax_mdpo.data.reference_cache import ReferenceCache
from jax_mdpo.data.rewording import reworded
from jax_mdpo.data.variants import ON_HOST, PROBES, Variants

NO_RECORD = ""  # the id of what only fills a batch
T = TypeVar("T")


class Loaded(NamedTuple):
    """What a batch holds of a record. changed, draws, features, reference: see core/batch.py."""

    pair: LaidOut | None
    changed: dict[str, np.ndarray]
    images: dict[str, Image.Image]
    draws: dict[str, np.ndarray]
    features: dict[str, np.ndarray]
    reference: dict[View, np.ndarray]


NOTHING = Loaded(None, {}, {}, {}, {}, {})


@dataclass(frozen=True)
class Sources:
    """What a worker knows of the records: their ids and where their images lie, place by place."""

    ids: tuple[str | int, ...]
    images: tuple[ImageSource | None, ...]
    rejected_images: tuple[ImageSource | None, ...]


@dataclass(frozen=True)
class FramedCorpus:
    """The data set's framed images, seen from the record at `index`."""

    loader: "RecordLoader"
    index: int

    @property
    def ids(self) -> tuple[str | int, ...]:
        return self.loader.sources.ids

    def __len__(self) -> int:
        return len(self.ids)

    def same_image(self, index: int) -> bool:
        return self.loader.sources.images[index] == self.loader.sources.images[self.index]

    def image(self, index: int) -> Image.Image | None:
        return self.loader.framed(self.loader.sources.images[index], index)

    def rejected_image(self) -> Image.Image:
        framed = self.loader.framed(self.loader.sources.rejected_images[self.index], self.index)
        if framed is None:
            raise no_rejected_image(self.loader.name(self.index))
        return framed


@dataclass(frozen=True)
class RecordLoader:
    """Loads single records. features, reference: what was computed beforehand. With features no image is opened.

    changed: whether batches say which tokens are reworded.
    """

    sources: Sources
    index: TokenIndex
    processor: Processor
    variants: Variants
    max_pixels: int
    features: FeatureCache | None = None
    reference: ReferenceCache | None = None
    changed: bool = False

    @property
    def cached_views(self) -> tuple[View, ...]:
        """The views whose reference log-probs are brought."""
        return () if self.reference is None else tuple(self.reference.starts)

    def load(self, place: int, epoch: int) -> Loaded:
        """All of the record that a batch holds. Raises RecordError."""
        return Loaded(
            self.pair(place),
            self.reworded(place) if self.changed else {},
            self.images(place, epoch) if self.features is None else {},
            {variant: self.variants.draw(variant, self.sources.ids[place], epoch).words for variant in self.variants.drawn},
            self.vision_features(place),
            self.reference_logps(place),
        )

    def pair(self, place: int) -> LaidOut:
        """The record's tokens, laid out."""
        return lay_out(self.index.pair(place), self.processor)

    def reworded(self, place: int) -> dict[str, np.ndarray]:
        """Which scored tokens of the chosen and the rejected answer stand where the other is worded differently."""
        pair = self.index.pair(place)
        return dict(zip(RESPONSES, reworded(pair[CHOSEN], pair[REJECTED]), strict=True))

    def images(self, place: int, epoch: int) -> dict[str, Image.Image]:
        """The framed images that a batch holds, by variant; none where the record is text only. Raises RecordError."""
        source = self.sources.images[place]
        if source is None:
            if set(self.variants.made) - set(PROBES):
                raise no_image(self.name(place))
            return {}
        clean = self._frame(source, place)
        return {variant: clean if variant == CLEAN else self._made(variant, clean, place, epoch) for variant in self.variants.held}

    def _made(self, variant: str, clean: Image.Image, place: int, epoch: int) -> Image.Image:
        """The variant of an image; the image itself where the device makes it."""
        draw = self.variants.draw(variant, self.sources.ids[place], epoch)
        return draw.maker(clean, draw.rng, FramedCorpus(self, place)) if isinstance(draw.maker, HardNegative) else clean

    def framed(self, source: ImageSource | None, place: int) -> Image.Image | None:
        return None if source is None else self._frame(source, place)

    def _frame(self, source: ImageSource, place: int) -> Image.Image:
        return self.processor.frame(open_image(source, max_pixels=self.max_pixels, name=self.name(place)))

    def vision_features(self, place: int) -> dict[str, np.ndarray]:
        """By image variant. Raises RecordError where the record was bad when they were computed."""
        cache = self.features
        return {} if cache is None else self._present(cache.features(place), place, "vision features", cache.folder)

    def reference_logps(self, place: int) -> dict[View, np.ndarray]:
        """Of the scored tokens, by view. Raises RecordError where the record was bad when they were computed."""
        cache = self.reference
        return {} if cache is None else self._present(cache.logps(place), place, "reference log-probs", cache.path)

    def _present(self, found: T | None, place: int, what: str, cache: Path) -> T:
        if found is None:
            raise RecordError(
                f"{self.name(place)}: has no {what}: it could not be read when {cache} was computed",
                fix="leave the record out, or delete the cache to compute it anew",
            )
        return found

    def name(self, place: int) -> str:
        return f"record {self.sources.ids[place]!r}"


def load_batch(plan: BatchPlan, rows: Sequence[int] | None, loader: RecordLoader, *, skip: bool) -> HostBatch:
    """This process's `rows` of a planned batch (None: all of them).

    A bad record is masked and listed where `skip` says so; else RecordError is raised.
    """
    places = _places(plan, rows)
    loaded = []
    skipped = []
    for place in places:
        found = NOTHING
        try:
            if place != PADDING:
                found = loader.load(place, plan.epoch)
        except RecordError as error:
            if not skip:
                raise
            skipped.append((loader.sources.ids[place], str(error)))
        loaded.append(found)
    batch = collate(
        [found.pair for found in loaded],
        {variant: [_pixels(found.images.get(variant)) for found in loaded] for variant in loader.variants.held if loader.features is None},
        plan.bucket,
        np.asarray(loader.processor.blank()),
        pack=plan.pack,
        responses=loader.index.responses,
        changed={response: [found.changed.get(response) for found in loaded] for response in RESPONSES if loader.changed},
        draws={variant: [found.draws.get(variant, ON_HOST) for found in loaded] for variant in loader.variants.drawn},
        features={} if loader.features is None else _columns([found.features for found in loaded], loader.features),
        reference={view: [found.reference.get(view) for found in loaded] for view in loader.cached_views},
    )
    ids = tuple(NO_RECORD if place == PADDING else loader.sources.ids[place] for place in places)
    return HostBatch(batch, ids, tuple(skipped))


def _columns(loaded: Sequence[dict[str, np.ndarray]], cache: FeatureCache) -> dict[str, list[np.ndarray]]:
    nothing = cache.nothing()
    return {variant: [features.get(variant, nothing) for features in loaded] for variant in cache.variants}


def _pixels(image: Image.Image | None) -> np.ndarray | None:
    return None if image is None else np.asarray(image)


def _places(plan: BatchPlan, rows: Sequence[int] | None) -> tuple[int, ...]:
    if rows is None:
        return plan.records
    return tuple(record for row in rows for record in plan.records[row * plan.pack : (row + 1) * plan.pack])
