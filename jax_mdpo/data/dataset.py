"""Preference pairs from a file, ready to be batched: the face of this floor."""

import hashlib
import logging
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from PIL import Image

from jax_mdpo.core.batch import HostBatch
from jax_mdpo.core.errors import RecordError, UserError
from jax_mdpo.core.protocols import Processor
from jax_mdpo.core.records import ImageSource, Record
from jax_mdpo.core.views import CHOSEN, REJECTED, RESPONSES
from jax_mdpo.data.batches import BatchPlan, Bucket, derive_buckets, epoch_batches, ordered_batches
from jax_mdpo.data.cache import with_files
from jax_mdpo.data.encode import Encoder
from jax_mdpo.data.feature_cache import FeatureCache
from jax_mdpo.data.index import TokenIndex, digest_texts, open_index
from jax_mdpo.data.layout import Expanded
from jax_mdpo.data.loading import RecordLoader, Sources
from jax_mdpo.data.packing import PADDING, bounds
from jax_mdpo.data.pipeline import BatchSource, iterate
from jax_mdpo.data.readers.reading import Fault, read_records
from jax_mdpo.data.reference_cache import ReferenceCache
from jax_mdpo.data.settings import DataSettings
from jax_mdpo.data.variants import CLEAN_ONLY, Variants

log = logging.getLogger(__name__)

Skipped = tuple[tuple[str | int, str], ...]  # (id, reason)


class Preview(NamedTuple):
    """One pair as the trainer will see it: framed images by variant (none for a text-only one), final texts, and lengths in tokens."""

    id: str | int
    images: dict[str, Image.Image]
    prompt: str
    chosen: str
    rejected: str
    prompt_tokens: int
    chosen_tokens: int
    rejected_tokens: int


class PairDataset:
    """The usable records of a data set, encoded, with the ids and reasons of the others.

    records: in the file's order; batch plans name them by their place here. skipped: (id, reason) of what was left out.
    index: their tokens and lengths. buckets: the padded lengths that the rows of batches come in.
    """

    def __init__(
        self,
        settings: DataSettings,
        processor: Processor,
        records: tuple[Record, ...],
        index: TokenIndex,
        buckets: tuple[Bucket, ...],
        skipped: Skipped,
    ):
        self.settings, self.processor = settings, processor
        self.records, self.index, self.buckets, self.skipped = records, index, buckets, skipped

    @classmethod
    def open(cls, settings: DataSettings, processor: Processor, responses: tuple[str, ...] = RESPONSES) -> "PairDataset":
        """Reads every record and encodes these responses of it. Images are looked for, not decoded.

        Raises UserError where the file is no data set; RecordError at the first bad record unless on_bad_record is "skip".
        """
        faults: list[Fault] = []
        records = list(_read(settings, faults))
        encoder = Encoder(processor, settings, responses)
        index = open_index(records, encoder)
        bad = {**index.faults, **_beyond_buckets(records, index, settings)}
        for place in sorted(bad):
            _note(Fault(records[place].id, bad[place]), faults, settings)
        kept = tuple(record for place, record in enumerate(records) if place not in bad)
        if not kept:
            raise UserError(f"{settings.path} holds no usable record: {len(faults)} were left out", got=f"first: {faults[0].error}")
        index = index.without(set(bad)) if bad else index
        _warn_of_bare_prompts(kept, encoder)
        return cls(settings, processor, kept, index, _buckets(index, settings), tuple((fault.id, str(fault.error)) for fault in faults))

    def __len__(self) -> int:
        return len(self.records)

    def fingerprint(self) -> str:
        """A digest of the usable records: ids, texts as far as encoded, and their images by path below their folder and size in bytes."""
        digest = hashlib.sha256(digest_texts(self.records, self.index.responses).encode())
        root = _image_root(self.settings).resolve()
        for record in self.records:
            digest.update(repr([_image_facts(image, root) for image in (record.image, record.rejected_image)]).encode())
        return digest.hexdigest()

    def epoch_batches(self, *, batch_size: int, seed: int, epoch: int) -> list[BatchPlan]:
        """The shuffled batches of one epoch, the same on every process; see data/batches.py."""
        pack = self.settings.pack
        return epoch_batches(self.index.lengths, self.buckets, batch_size=batch_size, seed=seed, epoch=epoch, pack=pack)

    def ordered_batches(self, *, batch_size: int, records: Iterable[int] | None = None) -> list[BatchPlan]:
        """Batches of all records, or, one to a row, of those at the given places, unshuffled: for scoring and evaluation."""
        return ordered_batches(self.index.lengths, self.buckets, batch_size=batch_size, records=records, pack=self.settings.pack)

    def batches(
        self,
        plans: Sequence[BatchPlan],
        *,
        rows: Sequence[int] | None = None,
        variants: Variants = CLEAN_ONLY,
        features: FeatureCache | None = None,
        reference: ReferenceCache | None = None,
        changed: bool = False,
        start: int = 0,
    ) -> Iterator[HostBatch]:
        """The planned batches from number `start` on, as arrays. Close the iterator (or use it up) to end its workers.

        rows: which rows of every batch this process loads, ascending; all of them where not given. variants: of the images.
        features, reference: what was computed beforehand. changed: whether they say which tokens are reworded.
        Raises RecordError, unless bad records are skipped, before the first batch where a record cannot have a variant, and at its
        batch where its image cannot be decoded.
        """
        skip = self.settings.on_bad_record == "skip"
        if variants.made and not skip:
            for place in sorted({place for plan in plans[start:] for place in plan.records if place != PADDING}):
                variants.check(self.records[place])
        loader = replace(self._loader(variants), features=features, reference=reference, changed=changed)
        return iterate(BatchSource(plans[start:], rows, loader, skip), self.settings.workers)

    def pair(self, place: int, *, variants: Variants = CLEAN_ONLY, epoch: int = 0) -> Preview:
        """The record at `place` as the trainer will see it in `epoch`. Raises RecordError where its image cannot be used."""
        loader = self._loader(variants if self.records[place].image is not None else CLEAN_ONLY)
        images, pair = loader.images(place, epoch), loader.pair(place)
        chosen, rejected = pair.responses[CHOSEN], pair.responses[REJECTED]
        return Preview(
            id=self.records[place].id,
            images=images,
            prompt=self._text(chosen, slice(0, chosen.start)),
            chosen=self._text(chosen, slice(chosen.start, None)),
            rejected=self._text(rejected, slice(rejected.start, None)),
            prompt_tokens=chosen.start,
            chosen_tokens=len(chosen.ids) - chosen.start,
            rejected_tokens=len(rejected.ids) - rejected.start,
        )

    def _text(self, sequence: Expanded, part: slice) -> str:
        """The decoded text, the image's many features shown as one placeholder."""
        tokens = zip(sequence.ids[part], sequence.slots[part], strict=True)
        return self.processor.decode([token for token, slot in tokens if slot <= 0])

    def _loader(self, variants: Variants) -> RecordLoader:
        sources = Sources(
            ids=tuple(record.id for record in self.records),
            images=tuple(record.image for record in self.records),
            rejected_images=tuple(record.rejected_image for record in self.records),
        )
        return RecordLoader(sources, self.index, self.processor, variants, self.settings.max_image_pixels)


def _read(settings: DataSettings, faults: list[Fault]) -> Iterator[Record]:
    images = None if settings.images is None else Path(settings.images)
    for found in read_records(Path(settings.path), format=settings.format, columns=settings.columns, images=images):
        if isinstance(found, Fault):
            _note(found, faults, settings)
        else:
            yield with_files(found)


def _note(fault: Fault, faults: list[Fault], settings: DataSettings) -> None:
    if settings.on_bad_record == "error":
        raise fault.error
    faults.append(fault)


def _beyond_buckets(records: Sequence[Record], index: TokenIndex, settings: DataSettings) -> dict[int, RecordError]:
    """The records that no bucket holds even alone, where the settings name the buckets."""
    if isinstance(settings.buckets, int):
        return {}
    largest = Bucket(*settings.buckets[-1])
    return {
        place: RecordError(
            f"record {records[place].id!r}: is longer than the largest bucket",
            expected=f"at most {list(largest)} (prefix, response) in data.buckets",
            got=f"[{prefix}, {response}]",
            fix="enlarge the last bucket, or let the program derive buckets (data.buckets: 1)",
        )
        for place, (prefix, response) in enumerate(zip(*index.lengths, strict=True))
        if not largest.holds(int(prefix), int(response))
    }


def _buckets(index: TokenIndex, settings: DataSettings) -> tuple[Bucket, ...]:
    rows = bounds(index.lengths, settings.pack)
    if isinstance(settings.buckets, int):
        return derive_buckets(rows, settings.buckets, settings.length_multiple)
    buckets = tuple(Bucket(*bucket) for bucket in settings.buckets)
    longest = (int(rows.prefix.max()), int(rows.response.max()))
    if not buckets[-1].holds(*longest):
        raise UserError(
            f"rows of {settings.pack} records (data.pack) are longer than the largest bucket",
            expected=f"at most {list(buckets[-1])} (prefix, response) in data.buckets",
            got=f"up to {list(longest)}",
            fix="enlarge the last bucket, let the program derive buckets (data.buckets: 1), or pack fewer records",
        )
    return buckets


def _warn_of_bare_prompts(records: Sequence[Record], encoder: Encoder) -> None:
    bare = [record for record in records if encoder.lacks_role_marker(record)]
    if bare:
        log.warning(
            "%d of %d prompts hold the image placeholder but no role marker of the chat template (first: record %r). They are taken "
            "as templated, word for word; data.prompt_format: plain puts prompts without placeholder through the template",
            len(bare),
            len(records),
            bare[0].id,
        )


def _image_root(settings: DataSettings) -> Path:
    path = Path(settings.path)
    return Path(settings.images) if settings.images is not None else path if path.is_dir() else path.parent


def _image_facts(image: ImageSource | None, root: Path) -> tuple[str, int] | None:
    """Where an image lies below its root, and its size; files of the cache are named by their digest."""
    if not isinstance(image, Path):
        return None
    return (str(image.relative_to(root)) if image.is_relative_to(root) else image.name, image.stat().st_size)
