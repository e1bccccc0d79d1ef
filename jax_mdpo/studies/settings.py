"""A study's settings, from a YAML file."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from jax_mdpo.core.config import config, validate
from jax_mdpo.core.errors import ConfigError
from jax_mdpo.recipe import naming
from jax_mdpo.recipe.configuration import with_overrides
from jax_mdpo.recipe.yaml_files import read_yaml, spelled
from jax_mdpo.studies.worlds import WORLDS


@config
class StudySettings:
    """What is compared, on what, and how.

    title, about: what the report says of it. worlds: models and data by name; each run is made on each.
    worlds_are: repetitions, over which figures are averaged, or conditions, each of which is compared with the others.
    run: settings that all runs share, as in a run's file, without seed and out. Their strings may name what the world brings: {model}.
    runs: by name what differs, put over `run`; null is the model as it is, without training. seeds: of the runs.
    evaluations: by name the benchmarks, as in a run's evaluation.benchmarks, or held-out pairs.
    baseline: the run, in the first of the worlds if these are conditions, that the others are compared with.
    headline: the figures of the summary, as evaluation/row/column.
    """

    out: str
    title: str
    about: str = ""
    worlds: Mapping[str, Any]
    worlds_are: Literal["repetitions", "conditions"] = "repetitions"
    run: Mapping[str, Any]
    runs: Mapping[str, Mapping[str, Any] | None]
    evaluations: Mapping[str, Mapping[str, Any]]
    seeds: tuple[int, ...] = (0,)
    baseline: str
    headline: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for name, parts in (("worlds", self.worlds), ("runs", self.runs), ("evaluations", self.evaluations), ("seeds", self.seeds)):
            if not parts:
                raise ValueError(f"{name} is empty: a study needs at least one")
        for name in [*self.worlds, *self.runs, *self.evaluations]:
            if not name or set(name) & set("/\\") or name.startswith("."):
                raise ValueError(f"{name!r} becomes the name of a folder, and cannot be one")
        if self.baseline not in self.runs:
            raise ValueError(f"baseline {self.baseline!r} is none of the runs: {', '.join(self.runs)}")
        for figure in self.headline:
            if figure.split("/")[0] not in self.evaluations or figure.count("/") != 2:
                raise ValueError(f"headline {figure!r}: expected evaluation/row/column, of {', '.join(self.evaluations)}")
        if reserved := {"seed", "out"} & set(self.run):
            raise ValueError(f"run sets {' and '.join(sorted(reserved))}, which the study sets for each of its cells")


def read_study(path: Path, overrides: Sequence[str] = ()) -> StudySettings:
    """The settings in a YAML file, on its `base` if it names one, with "dotted.key=value" put over them.

    An evaluation that is null is none: so a file takes away one of its base's.
    """
    values = with_overrides(read_yaml(path), overrides)
    where = spelled(path)
    worlds = values.get("worlds")
    if not isinstance(worlds, Mapping):
        raise ConfigError(f"{where}: 'worlds' must be a mapping of names", expected="worlds: {mine: {name: files, …}}", got=repr(worlds))
    made = {name: naming.part(WORLDS, value, f"{where}: worlds.{name}") for name, value in worlds.items()}
    evaluations = values.get("evaluations")
    if isinstance(evaluations, Mapping):
        values["evaluations"] = {name: evaluation for name, evaluation in evaluations.items() if evaluation is not None}
    return validate(StudySettings, {**values, "worlds": made}, where=where)
