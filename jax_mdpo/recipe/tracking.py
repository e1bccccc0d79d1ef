"""Benchmarks that the policy answers while it is trained: their figures become metrics of the run."""

import re
import shutil
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import jax

from jax_mdpo.core.errors import ConfigError
from jax_mdpo.evaluation.benchmarks.protocol import Figure
from jax_mdpo.generation.generator import Generator
from jax_mdpo.generation.settings import Decoding
from jax_mdpo.models.actors import Actors, Frozen
from jax_mdpo.models.checkpoint import Checkpoint
from jax_mdpo.recipe import naming
from jax_mdpo.recipe.evaluating import source
from jax_mdpo.recipe.exam import Exam
from jax_mdpo.recipe.settings import BenchmarkSettings, RunSettings
from jax_mdpo.training.loop import HeldOut
from jax_mdpo.training.run_directory import RunDirectory
from jax_mdpo.training.state import TrainState


@dataclass(frozen=True)
class Tracked:
    """A benchmark that is ready to be asked. label: the first part of its metrics' names, and its folder."""

    label: str
    settings: BenchmarkSettings
    exam: Exam


def tracked_benchmarks(settings: RunSettings) -> tuple[Tracked, ...]:
    """Those that the settings name, with their images and what scores them: what is missing is said before the model is loaded.

    Raises ConfigError where several processes train, since generation runs in one, or where two have the same label.
    """
    named = settings.evaluation.benchmarks if settings.evaluation else ()
    if named and jax.process_count() > 1:
        raise ConfigError(
            "evaluation.benchmarks needs a run in one process: generation does",
            got=f"{jax.process_count()} processes",
            fix="leave it out, and ask the checkpoints with `jax-mdpo eval`",
        )
    labels = [slug(one.label or naming.plain(one.benchmark, "benchmark")["name"]) for one in named]
    for label in labels:
        if labels.count(label) > 1:
            raise ConfigError(f"evaluation.benchmarks names {label!r} twice", fix="give each a label of its own")
    return tuple(
        Tracked(label, one, Exam.of(one.benchmark, one.data, one.images, only=one.only, sample=one.sample, append=one.append))
        for label, one in zip(labels, named, strict=True)
    )


def benchmark_evaluations(
    tracked: tuple[Tracked, ...], settings: RunSettings, checkpoint: Checkpoint, actors: Actors, frozen: Frozen
) -> list[Callable[[TrainState], HeldOut]]:
    """One for each. It asks the policy as it is, over the run's own weights, and leaves answers, items and metrics.json behind."""
    run = RunDirectory(Path(settings.out).absolute())
    base = settings.model
    made_by = {"model": base.path, "run": str(settings.out), "dtype": base.dtype, "quantization": base.quantization}

    def evaluation(one: Tracked) -> Callable[[TrainState], HeldOut]:
        decoding = Decoding(max_tokens=one.settings.max_tokens)
        generator = Generator.over(checkpoint, actors, frozen, {}, decoding, rows=one.settings.batch)
        asking = {"decoding": vars(decoding), "append": one.settings.append, "sample": one.settings.sample}

        def evaluate(state: TrainState) -> HeldOut:
            began, step = time.monotonic(), int(state.step)
            folder = run.evaluations / one.label / str(step)
            shutil.rmtree(folder, ignore_errors=True)
            found = _taken(one.exam, replace(generator, lora=state.lora), folder, {**made_by, "step": step, **asking})
            count, left_out = sum(found["items"].values()), sum(map(len, found["left_out"].values()))
            said = f"{one.label}: {count} answers scored in {time.monotonic() - began:.0f} s"
            return HeldOut(metrics_of(one.label, found["unrounded"]), notes=(f"{said}, {left_out} left out" if left_out else said,))

        return evaluate

    return [evaluation(one) for one in tracked]


def _taken(exam: Exam, generator: Generator, folder: Path, made_by: Mapping[str, Any]) -> dict[str, Any]:
    """What metrics.json holds. An answer that cannot be read, by a judge that is silent, is left out and counted."""
    log = exam.log(folder, made_by)
    exam.take(log, lambda: generator, passing=True)
    return exam.score(log, source(exam.benchmark, [log.path]) | {"made_by": made_by}, partial=True)


def metrics_of(label: str, rows: Mapping[str, Mapping[str, Figure]]) -> dict[str, float]:
    """Each figure as <label>/<row>/<column>."""
    return {f"{label}/{slug(row)}/{slug(column)}": float(value) for row, figures in rows.items() for column, value in figures.items()}


def slug(name: str) -> str:
    """A name in lower case, with "_" for all but letters, digits, "." and "-": "F1 score" is f1_score."""
    return re.sub(r"[^a-z0-9.-]+", "_", name.lower())
