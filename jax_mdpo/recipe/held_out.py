"""Held-out evaluation: the means of the loss's metrics, and the probe of what the preferences owe to the image."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace

import jax

from jax_mdpo.core.batch import Batch, HostBatch
from jax_mdpo.data.batches import BatchPlan
from jax_mdpo.data.dataset import PairDataset
from jax_mdpo.evaluation.reliance import IMAGES, LogPs, make_judgement, make_reference_logps, seen_as, sums
from jax_mdpo.evaluation.verdict import verdict
from jax_mdpo.recipe.feed import Feed
from jax_mdpo.recipe.parts import images_of, variants_of
from jax_mdpo.recipe.reference import Reference
from jax_mdpo.recipe.vision import Vision
from jax_mdpo.sharding.placing import placing
from jax_mdpo.training.loop import HeldOut
from jax_mdpo.training.processes import is_main
from jax_mdpo.training.progress import Progress
from jax_mdpo.training.state import TrainState
from jax_mdpo.training.step import Loss, make_evaluation

Totals = dict[str, jax.Array]


def held_out_evaluations(reference: Reference, vision: Vision, loss: Loss) -> list[Callable[[TrainState], HeldOut]]:
    """What the settings ask for of the held-out pairs after some steps; nothing where they name none."""
    settings = reference.settings
    if settings.eval_data is None or settings.evaluation is None:
        return []
    data = PairDataset.open(settings.eval_data, reference.checkpoint.processor, settings.responses)
    means = _means(reference, vision, loss, data)
    if not settings.evaluation.reliance or all(record.image is None for record in data.records):
        return [means]
    return [means, _reliance(reference, data)]


def _means(reference: Reference, vision: Vision, loss: Loss, data: PairDataset) -> Callable[[TrainState], HeldOut]:
    """Means of the loss's metrics over the held-out pairs; their hard negatives are the same each time."""
    settings, checkpoint = reference.settings, reference.checkpoint
    features = vision.cached("eval_data", data)
    plans = data.ordered_batches(batch_size=settings.batch.pairs)
    feed = Feed(settings, variants_of(settings, images_of(settings)), plans, features, reference.cached("eval_data", data, features))
    put, of_batch = placing(checkpoint.mesh, settings.rows(data.settings)), make_evaluation(loss)

    def means(state: TrainState) -> HeldOut:
        total: Totals = {}
        skipped = list(data.skipped)
        for host in _shown(feed.batches(data), plans, "held-out pairs"):
            with checkpoint.scope():
                total = _added(total, of_batch(reference.frozen, state.lora, state.memory, put(host.batch)))
            skipped += host.skipped
        return HeldOut(_shares(total), skipped)

    return means


def _reliance(reference: Reference, data: PairDataset) -> Callable[[TrainState], HeldOut]:
    """The probe's figures and what they say; see evaluation/reliance.py.

    Neither pairs nor images change in a run, so the reference judges them once. Images are read and looked at here whether or not features
    or the reference's log-probs are kept on disk: these caches hold what the training needs. A pair for which there is no other image
    takes no part.
    """
    settings, checkpoint, frozen = reference.settings, reference.checkpoint, reference.frozen
    lenient = PairDataset(
        replace(data.settings, on_bad_record="skip"), data.processor, data.records, data.index, data.buckets, data.skipped
    )
    plans = data.ordered_batches(batch_size=settings.batch.pairs)
    feed = Feed(settings, variants_of(settings, IMAGES.values()), plans)
    put = placing(checkpoint.mesh, settings.rows(data.settings))
    logps = make_reference_logps(reference.actors, settings.batch.logits_chunk)
    judge = make_judgement(reference.actors, settings.batch.logits_chunk)
    kept: list[dict[str, LogPs]] = []  # the reference's, batch by batch, by name of the image

    def of_reference(state: TrainState, batch: Batch) -> dict[str, LogPs]:
        if not settings.reference_views:
            return {name: {} for name in IMAGES}
        return {name: logps(frozen, state.lora, seen_as(batch, image)) for name, image in IMAGES.items()}

    def probe(state: TrainState) -> HeldOut:
        total: Totals = {}
        for number, host in enumerate(_shown(feed.batches(lenient), plans, "reliance on the image")):
            with checkpoint.scope():
                batch = put(host.batch)
                if number == len(kept):
                    kept.append(of_reference(state, batch))
                judged = {name: judge(frozen, state.lora, seen_as(batch, image), kept[number][name]) for name, image in IMAGES.items()}
                total = _added(total, sums(judged, batch))
        found = {**_shares(total), "pairs": float(total["pairs"])}
        return HeldOut({f"reliance/{name}": value for name, value in found.items()}, notes=(verdict(found),))

    return probe


def _shown(hosts: Iterable[HostBatch], plans: Sequence[BatchPlan], label: str) -> Iterator[HostBatch]:
    """The batches of the plans; how many are done is seen below the training's bar."""
    with Progress(len(plans), passing=True, shown=is_main(), label=label, unit="batch") as progress:
        for number, host in enumerate(hosts, start=1):
            yield host
            progress.update(number)


def _added(total: Totals, values: Totals) -> Totals:
    """Waits for `total`, while the device works on `values`: so no more batches are queued than that one and the next."""
    jax.block_until_ready(total)
    return {name: total.get(name, 0.0) + value for name, value in values.items()}


def _shares(total: Totals) -> dict[str, float]:
    """Each sum divided by that of `pairs`."""
    fetched = {name: float(value) for name, value in jax.device_get(total).items()}
    pairs = max(fetched.pop("pairs"), 1.0)
    return {name: value / pairs for name, value in fetched.items()}
