"""One cell of a study: a run is trained, what came of it is evaluated, and what is finished is never done again."""

import json
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from jax_mdpo.core.config import config, validate
from jax_mdpo.core.errors import RunError
from jax_mdpo.core.files import write_text
from jax_mdpo.generation.settings import Decoding
from jax_mdpo.recipe import naming
from jax_mdpo.recipe.answering import evaluate_model
from jax_mdpo.recipe.configuration import plain, settings_of
from jax_mdpo.recipe.pairs import evaluate_pairs
from jax_mdpo.recipe.settings import BenchmarkSettings, ModelSettings, RunSettings
from jax_mdpo.recipe.training import train
from jax_mdpo.recipe.yaml_files import put_over
from jax_mdpo.studies.grid import Cell
from jax_mdpo.studies.settings import StudySettings
from jax_mdpo.studies.worlds import filled
from jax_mdpo.training.run_directory import RunDirectory, differences
from jax_mdpo.training.signals import Interrupted
from jax_mdpo.weights.hub import resolve

DONE = "cell.json"  # written last: a folder that holds it is a finished cell's
EVALUATIONS = "eval"


@config
class PairsSettings:
    """Held-out pairs. pairs: the file. images: their folder. batch: pairs at a time. probing: judged without their image, too."""

    pairs: str
    images: str | None = None
    batch: int = 8
    probing: bool = True


Evaluation = BenchmarkSettings | PairsSettings


def check(cell: Cell, study: StudySettings, names: Mapping[str, str]) -> None:
    """Raises ConfigError where the cell's settings are none; RunError where it was finished under others. names: as for `finish`."""
    _standing(cell, study, _told(run_of(cell, study, names), evaluations_of(study, names)))


def finish(cell: Cell, study: StudySettings, names: Mapping[str, str]) -> bool:
    """Trains and evaluates what is left of the cell. names: what its world brings. Returns whether anything was left."""
    folder = cell.folder(Path(study.out))
    run, evaluations = run_of(cell, study, names), evaluations_of(study, names)
    told = _told(run, evaluations)
    if _standing(cell, study, told):
        return False
    began = time.monotonic()
    adapter = None if run is None else _trained(run)
    model = model_of(study, names)
    for name, evaluation in evaluations.items():
        _evaluate(evaluation, model, adapter, folder / EVALUATIONS / name)
    write_text(folder / DONE, json.dumps({"cell": cell.name, "seconds": time.monotonic() - began, **told}, indent=2) + "\n")
    return True


def run_of(cell: Cell, study: StudySettings, names: Mapping[str, str]) -> RunSettings | None:
    """The settings of the cell's run; None where nothing is trained."""
    changes = study.runs[cell.run]
    if changes is None:
        return None
    where = f"the study's run {cell.run!r}"
    values = filled(put_over(study.run, changes), names, where)
    return settings_of({**values, "seed": cell.seed, "out": str(cell.folder(Path(study.out)) / "run")}, where=where)


def model_of(study: StudySettings, names: Mapping[str, str]) -> ModelSettings:
    """The model that every run starts from, and that is evaluated as it is where nothing is trained."""
    where = "the study's run.model"
    return validate(ModelSettings, filled(study.run.get("model", {}), names, where), where=where)


def evaluations_of(study: StudySettings, names: Mapping[str, str]) -> dict[str, Evaluation]:
    """What every cell of a world is evaluated on, by name."""
    found: dict[str, Evaluation] = {}
    for name, values in study.evaluations.items():
        where = f"the study's evaluation {name!r}"
        made = naming.made(filled(values, names, where), where)
        kind: type[Evaluation] = PairsSettings if "pairs" in made else BenchmarkSettings
        found[name] = validate(kind, made, where=where)
    return found


def _told(run: RunSettings | None, evaluations: Mapping[str, Evaluation]) -> dict[str, Any]:
    """What the cell's figures depend on, in JSON's own types."""
    told = {"run": run and plain(run), "evaluations": {name: naming.plain(one) for name, one in evaluations.items()}}
    return json.loads(json.dumps(told))


def _trained(settings: RunSettings) -> Path:
    """The adapter of the run, which continues where it was broken off."""
    run = RunDirectory(Path(settings.out))
    try:
        return train(settings, resume=run.config.exists()) / "adapter"
    except Interrupted as stopped:  # a study has no --resume
        raise Interrupted(stopped.signal, stopped.step, "the same command goes on from there") from None


def _evaluate(evaluation: Evaluation, model: ModelSettings, adapter: Path | None, out: Path) -> None:
    folder = resolve(model.path, model.revision)
    loading: dict[str, Any] = {"adapter": adapter, "dtype": model.dtype, "quantization": model.quantization}
    if isinstance(evaluation, PairsSettings):
        judging: dict[str, Any] = {"images": evaluation.images, "batch": evaluation.batch, "probing": evaluation.probing}
        evaluate_pairs(folder, evaluation.pairs, out, **judging, **loading)
        return
    evaluate_model(
        evaluation.benchmark,
        folder,
        data=evaluation.data,
        out=out,
        images=evaluation.images,
        decoding=Decoding(max_tokens=evaluation.max_tokens),
        append=evaluation.append,
        sample=evaluation.sample,
        only=evaluation.only,
        batch=evaluation.batch,
        **loading,
    )


def _standing(cell: Cell, study: StudySettings, told: Mapping[str, Any]) -> bool:
    """Whether the cell is finished; RunError where that was under other settings."""
    path = cell.folder(Path(study.out)) / DONE
    if not path.exists():
        return False
    before = json.loads(path.read_text(encoding="utf-8"))
    changed = differences({key: before.get(key) for key in told}, told)
    if changed:
        raise RunError(
            f"the cell {cell.name} was finished under other settings:\n" + "\n".join(f"  - {line}" for line in changed),
            fix=f"put them back, take another out=, or remove {path.parent} to do it again",
        )
    return True
