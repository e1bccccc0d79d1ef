"""The studies that come with the program: every cell's settings are sound, before anything is made."""

import dataclasses
from pathlib import Path

import pytest

from jax_mdpo.recipe.shipped import find_config
from jax_mdpo.scenes.preparing import Prepared
from jax_mdpo.studies.cell import evaluations_of, model_of, run_of
from jax_mdpo.studies.grid import baseline, cells, label
from jax_mdpo.studies.settings import read_study

FOLDER = find_config("studies/scenes.yaml").parent
STUDIES = sorted(path.stem for path in FOLDER.glob("*.yaml") if path.stem != "scenes")
BROUGHT = tuple(field.name for field in dataclasses.fields(Prepared))  # by the scenes world; files bring what they name


@pytest.mark.parametrize("name", STUDIES)
def test_every_cell_has_sound_settings(name, tmp_path):
    study = read_study(FOLDER / f"{name}.yaml")
    names = {one: str(tmp_path / one) for one in BROUGHT}
    grid = list(cells(study))
    assert len(set(grid)) == len(grid) > 3
    for cell in grid:
        run = run_of(cell, study, names)
        assert (run is None) == (study.runs[cell.run] is None)
        if run is not None:
            assert run.model.path == model_of(study, names).path == names["model"]
            assert (run.seed, Path(run.out).name) == (cell.seed, "run")
        assert set(evaluations_of(study, names)) == set(study.evaluations)
    labels = {label(cell, study) for cell in grid}
    assert baseline(study) in labels
    assert len(labels) == len(study.runs) * (len(study.worlds) if study.worlds_are == "conditions" else 1)


def test_the_studies_of_the_plan_are_there():
    assert STUDIES == [
        "demo",
        "scenes_anchors",
        "scenes_cache",
        "scenes_cue",
        "scenes_data",
        "scenes_main",
        "scenes_negatives",
        "seven_days",
    ]
