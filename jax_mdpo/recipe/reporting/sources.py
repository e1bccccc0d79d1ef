"""What a folder holds: a run, evaluations, or both below it."""

import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import yaml

from jax_mdpo.core.errors import RunError, UserError
from jax_mdpo.data.readers.rows import read_rows
from jax_mdpo.evaluation.benchmarks.protocol import Reporting
from jax_mdpo.evaluation.bootstrap import Answered, by_key
from jax_mdpo.evaluation.items import read_items
from jax_mdpo.recipe.evaluating import reporting_of
from jax_mdpo.training.run_directory import RunDirectory

TRACKED = "evaluations"  # RUN/evaluations/<benchmark>/<step>: of a benchmark that training runs now and then
LARGE = {"checkpoints", "events", "adapter", "images"}  # folders without anything that is looked for


@dataclass(frozen=True)
class Run:
    """steps: the objects of metrics.jsonl, one a step, in order. finished: its adapter has been written."""

    path: Path
    settings: Mapping[str, Any]
    steps: tuple[Mapping[str, Any], ...]
    finished: bool


@dataclass(frozen=True)
class Evaluation:
    """metrics: of its metrics.json. where: its folder below the source, without the step. step: of the training that tracks it."""

    path: Path
    where: str
    step: int | None
    metrics: Mapping[str, Any]

    @property
    def name(self) -> str:
        """The benchmark's; of one from outside, package.module:Class, the class alone."""
        return str(self.metrics["benchmark"]).rpartition(":")[2]

    @cached_property
    def items(self) -> Answered | None:
        """None where its items were not kept."""
        file = self.path / "items.jsonl"
        return by_key(read_items(file)) if file.exists() else None

    def benchmark(self) -> Reporting:
        """What adds up its items. Raises UserError where the benchmark, or one of its own parts, is not on this machine."""
        options = dict(self.metrics["options"])
        return reporting_of(options.pop("name"), options)


@dataclass(frozen=True)
class Source:
    """A folder. evaluations: of a benchmark that was tracked, the last."""

    path: Path
    run: Run | None
    evaluations: tuple[Evaluation, ...]


def read_source(path: Path) -> Source:
    """What stands in `path` or below it. Raises UserError where that is nothing, or several runs."""
    if not path.is_dir():
        raise UserError(f"there is no folder {path}", expected="that of a run or an evaluation, or LABEL=FOLDER")
    folders = list(_folders(path))
    runs = [folder for folder in folders if _is_run(folder)]
    evaluations = _last([found for folder in folders if (found := _evaluation(folder, path)) is not None])
    if len(runs) > 1:
        raise UserError(
            f"{path} holds several runs",
            expected="one, or evaluations",
            got=", ".join(str(run.relative_to(path)) for run in runs[:8]) + (", …" if len(runs) > 8 else ""),
            fix="name each of them; with one label before all, LABEL=RUN, they are repetitions",
        )
    if not runs and not evaluations:
        raise UserError(
            f"{path} is neither a run nor an evaluation",
            expected="config.yaml and metrics.jsonl, as `train` writes them, or metrics.json with items.jsonl, as `eval` does",
            got=", ".join(sorted(entry.name for entry in path.iterdir())[:8]) or "an empty folder",
        )
    return Source(path, _run(runs[0]) if runs else None, tuple(evaluations))


def _folders(path: Path) -> Iterator[Path]:
    for folder, inner, _ in os.walk(path):
        inner[:] = sorted(name for name in inner if name not in LARGE and not name.startswith("."))
        yield Path(folder)


def _is_run(folder: Path) -> bool:
    run = RunDirectory(folder)
    return run.metrics.is_file() or (run.config.is_file() and run.has_begun())


def _run(folder: Path) -> Run:
    """A run that is going on is one, too: a line that is half written is passed over."""
    run = RunDirectory(folder)
    rows = read_rows(run.metrics) if run.metrics.exists() else ()
    steps = tuple(row for row in rows if isinstance(row, dict) and isinstance(row.get("step"), int))
    return Run(folder, _settings(run.config), steps, run.adapter.exists())


def _settings(config: Path) -> Mapping[str, Any]:
    try:
        held = yaml.safe_load(config.read_text(encoding="utf-8")) if config.exists() else {}
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise RunError(f"{config} cannot be read: {error}", fix="restore it") from None
    return held if isinstance(held, dict) else {}


def _evaluation(folder: Path, source: Path) -> Evaluation | None:
    file = folder / "metrics.json"
    if not file.is_file():
        return None
    try:
        held = json.loads(file.read_text(encoding="utf-8"))
    except ValueError as error:
        raise UserError(f"{file} cannot be read: {error}", fix="run the evaluation again") from None
    if not isinstance(held, dict) or not {"benchmark", "unrounded", "decimals", "options"} <= held.keys():
        return None
    tracked = folder.name.isdigit() and folder.parent.parent.name == TRACKED
    where = (folder.parent if tracked else folder).relative_to(source) if folder != source else Path()
    return Evaluation(folder, where.as_posix(), int(folder.name) if tracked else None, held)


def _last(evaluations: list[Evaluation]) -> list[Evaluation]:
    """Of the steps at which a benchmark was tracked, the last."""
    found: dict[str, Evaluation] = {}
    for evaluation in sorted(evaluations, key=lambda one: one.step or 0):
        found[evaluation.where if evaluation.step is not None else str(evaluation.path)] = evaluation
    return sorted(found.values(), key=lambda one: one.where)
