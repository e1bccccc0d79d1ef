"""A training run from its settings: every part is made here and handed to the loop."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from jax_mdpo.data.batches import BatchPlan
from jax_mdpo.data.dataset import PairDataset
from jax_mdpo.lora.peft_files import write_adapter
from jax_mdpo.models.actors import Actors, AdapterWeights, make_actors, trained
from jax_mdpo.models.checkpoint import Checkpoint
from jax_mdpo.recipe.compilation import keep_compiled_programs
from jax_mdpo.recipe.configuration import plain, read_settings, settings_of
from jax_mdpo.recipe.feed import Feed
from jax_mdpo.recipe.held_out import held_out_evaluations
from jax_mdpo.recipe.loading import load_base, mesh_of
from jax_mdpo.recipe.parts import adapters_of, images_of, make_parts, variants_of
from jax_mdpo.recipe.reference import Reference
from jax_mdpo.recipe.settings import RunSettings
from jax_mdpo.recipe.tracking import benchmark_evaluations, tracked_benchmarks
from jax_mdpo.recipe.vision import Vision
from jax_mdpo.sharding.placing import batch_ways, placing, require_divisible
from jax_mdpo.training.loop import Job, fit, together
from jax_mdpo.training.processes import is_main, whole
from jax_mdpo.training.run_directory import RunDirectory, claimed
from jax_mdpo.training.state import TrainState, initial_state
from jax_mdpo.training.term_gradients import make_term_norms
from jax_mdpo.weights.fingerprint import weights_digest

FIRST_EPOCH = 0  # whose hard negatives are shown where they are fixed


def train(settings: RunSettings | Mapping[str, Any] | str | Path, *, resume: bool = False) -> Path:
    """Trains as the settings say (an object, a mapping of the same keys, or a YAML file) and returns the run directory.

    resume: continue the run in settings.out from its newest sound checkpoint. Raises UserError for all that a user can mend, and
    training.signals.Interrupted, with the state saved, on SIGTERM or Ctrl-C.
    """
    settings = _as_settings(settings)
    keep_compiled_programs()
    with claimed(Path(settings.out), plain(settings), resume=resume) as run:
        prepared = prepare(settings)
        state = fit(prepared.job, prepared.state, run, settings.loop, identity=prepared.identity)
        _write_adapter(run, settings, prepared, state)
    return run.path


@dataclass(frozen=True)
class Prepared:
    """A run ready to start: its job for the loop, the state it starts from, and what its checkpoints belong to."""

    job: Job
    state: TrainState
    identity: dict[str, str]
    checkpoint: Checkpoint
    actors: Actors
    adapter: AdapterWeights


def prepare(settings: RunSettings, checkpoint: Checkpoint | None = None) -> Prepared:
    """Loads the model and the data, makes the step; nothing is trained yet. checkpoint: the model, where it is loaded already."""
    mesh = mesh_of(settings.mesh)
    require_divisible(
        batch_ways(mesh), settings.rows(settings.data) // settings.batch.accumulation, "batch.pairs / (data.pack × batch.accumulation)"
    )
    benchmarks = tracked_benchmarks(settings)
    checkpoint = checkpoint or load_base(settings.model, mesh)
    adapter, reference_adapter = adapters_of(settings, checkpoint)
    actors, frozen, lora = make_actors(checkpoint, adapter, reference_adapter)
    reference = Reference(settings, checkpoint, reference_adapter, actors, frozen, lora)
    vision = Vision(settings, checkpoint, actors, frozen, lora)
    data = PairDataset.open(settings.data, checkpoint.processor, settings.responses)
    plans = batch_list(data, settings)
    parts = make_parts(settings, actors, adapter, steps=len(plans))
    term_norms = make_term_norms(parts.loss, accumulation=settings.batch.accumulation, dropout=adapter.dropout > 0)
    evaluations = [
        *held_out_evaluations(reference, vision, parts.loss),
        *benchmark_evaluations(benchmarks, settings, checkpoint, actors, frozen),
    ]
    features = vision.cached("data", data)
    feed = Feed(settings, variants_of(settings, images_of(settings)), plans, features, reference.cached("data", data, features))
    job = Job(
        step=lambda state, batch: _precise(checkpoint, parts.step)(frozen, state, batch),
        batches=lambda start: feed.batches(data, start),
        put=placing(mesh, settings.rows(settings.data)),
        steps=len(plans),
        evaluate=together(evaluations),
        term_norms=lambda state, batch: _precise(checkpoint, term_norms)(frozen, state, batch),
        skipped=data.skipped,
    )
    identity = {"weights": weights_digest(checkpoint.folder), "processor": checkpoint.processor.fingerprint(), "data": data.fingerprint()}
    return Prepared(job, initial_state(lora, parts.optimizer, settings.seed, settings.objectives), identity, checkpoint, actors, adapter)


def batch_list(data: PairDataset, settings: RunSettings) -> list[BatchPlan]:
    """The batches of the whole run, epoch after epoch; with `steps`, as many epochs as they take and the last one cut."""
    plans: list[BatchPlan] = []
    epoch = 0
    while (settings.steps is not None and len(plans) < settings.steps) or (settings.epochs is not None and epoch < settings.epochs):
        batches = data.epoch_batches(batch_size=settings.batch.pairs, seed=settings.seed, epoch=epoch)
        plans += batches if settings.negatives == "fresh" else [batch._replace(epoch=FIRST_EPOCH) for batch in batches]
        epoch += 1
    return plans if settings.steps is None else plans[: settings.steps]


def _precise(checkpoint: Checkpoint, function: Callable) -> Callable:
    """`function` under the checkpoint's mesh and matmul precision."""

    def run(*arguments: Any) -> Any:
        with checkpoint.scope():
            return function(*arguments)

    return run


def _write_adapter(run: RunDirectory, settings: RunSettings, prepared: Prepared, state: TrainState) -> None:
    final = trained(prepared.actors, prepared.checkpoint, whole(state.lora), prepared.adapter)
    if is_main():
        write_adapter(
            run.adapter,
            factors=final.factors,
            targets=final.targets,
            base_model=settings.model.path,
            revision=settings.model.revision,
            lora_dropout=final.dropout,
            replace=True,
        )


def _as_settings(settings: RunSettings | Mapping[str, Any] | str | Path) -> RunSettings:
    if isinstance(settings, RunSettings):
        return replace(settings)
    return settings_of(settings) if isinstance(settings, Mapping) else read_settings(Path(settings))
