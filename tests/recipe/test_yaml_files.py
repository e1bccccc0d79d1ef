"""A YAML file on a base: what is merged, what takes another's place, and faults that name the file."""

from pathlib import Path

import pytest
import yaml

from jax_mdpo.core.errors import ConfigError
from jax_mdpo.data.hard_negatives import Crop
from jax_mdpo.recipe.configuration import plain, read_settings
from jax_mdpo.recipe.yaml_files import put_over, read_yaml
from jax_mdpo.training.optimizer import OptimizerSettings

RUN = {
    "model": {"path": "m", "remat": "full"},
    "data": {"path": "d"},
    "out": "o",
    "steps": 1,
    "objectives": [{"name": "dpo"}, {"name": "conditional"}],
    "hard_negative": {"name": "crop", "area": [0.1, 0.2], "aspect": [0.5, 2.0]},
    "optimizer": {"learning_rate": 3.0, "betas": [0.5, 0.6]},
}


def write(path: Path, **values) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(yaml.safe_dump(values))
    return path


def test_mappings_are_merged_and_everything_else_replaced(tmp_path):
    write(tmp_path / "run.yaml", **RUN)
    changed = write(tmp_path / "changed.yaml", base="run.yaml", optimizer={"betas": [0.7, 0.8]}, model={"path": "n"}, out="p")
    assert read_yaml(changed) == {**RUN, "model": {"path": "n", "remat": "full"}, "out": "p",
                                  "optimizer": {"learning_rate": 3.0, "betas": [0.7, 0.8]}}  # fmt: skip
    assert read_settings(changed).optimizer == OptimizerSettings(learning_rate=3.0, betas=(0.7, 0.8))


def test_a_named_part_takes_the_other_s_place_and_an_unnamed_one_changes_it(tmp_path):
    write(tmp_path / "run.yaml", **RUN)
    named = write(tmp_path / "named.yaml", base="run.yaml", hard_negative={"name": "moco"})
    assert read_yaml(named)["hard_negative"] == {"name": "moco"}
    larger = write(tmp_path / "larger.yaml", base="run.yaml", hard_negative={"area": [0.2, 0.5]})
    assert read_settings(larger).hard_negative == Crop(area=(0.2, 0.5), aspect=(0.5, 2.0))


def test_null_takes_away_what_the_base_says(tmp_path):
    write(tmp_path / "run.yaml", **RUN)
    without = write(tmp_path / "without.yaml", base="run.yaml", objectives="dpo", hard_negative=None)
    assert read_settings(without).hard_negative is None


def test_a_base_counts_from_the_file_that_names_it_and_may_have_one_itself(tmp_path, monkeypatch):
    write(tmp_path / "run.yaml", **RUN)
    write(tmp_path / "middle" / "one.yaml", base="../run.yaml", steps=2, seed=5)
    top = write(tmp_path / "top" / "deep" / "two.yaml", base="../../middle/one.yaml", steps=3)
    monkeypatch.chdir(tmp_path / "top")
    run = read_settings(Path("deep/two.yaml"))
    assert (run.steps, run.seed, run.out) == (3, 5, "o") and run == read_settings(top)


def test_overrides_go_over_all_of_it_and_the_written_run_needs_no_base(tmp_path):
    write(tmp_path / "run.yaml", **RUN)
    top = write(tmp_path / "top.yaml", base="run.yaml", steps=3)
    run = read_settings(top, ["steps=4", "hard_negative.area=[0.3, 0.4]"])
    assert (run.steps, run.hard_negative.area, run.hard_negative.aspect) == (4, (0.3, 0.4), (0.5, 2.0))
    resolved = write(tmp_path / "elsewhere" / "config.yaml", **plain(run))
    assert "base" not in yaml.safe_load(resolved.read_text()) and read_settings(resolved) == run


def test_what_is_given_is_left_as_it_was():
    base, values = {"a": {"b": 1}}, {"a": {"c": 2}}
    assert put_over(base, values) == {"a": {"b": 1, "c": 2}}
    assert (base, values) == ({"a": {"b": 1}}, {"a": {"c": 2}})


def fault(path: Path) -> str:
    with pytest.raises(ConfigError) as caught:
        read_settings(path)
    return str(caught.value)


def test_a_circle_is_named(tmp_path):
    one = write(tmp_path / "one.yaml", base="two.yaml")
    write(tmp_path / "two.yaml", base="one.yaml")
    assert "one.yaml is its own base" in fault(one) and "two.yaml over" in fault(one)
    assert "self.yaml is its own base" in fault(write(tmp_path / "self.yaml", base="./self.yaml"))


def test_a_base_that_is_not_there_is_named_with_the_file_that_asks_for_it(tmp_path):
    found = fault(write(tmp_path / "one.yaml", base="absent.yaml"))
    assert "absent.yaml cannot be read" in found and f"mend base: in {tmp_path / 'one.yaml'}" in found
    assert "'base' is no path" in fault(write(tmp_path / "two.yaml", base=["one.yaml"]))


def test_a_fault_names_every_file_that_it_may_stand_in(tmp_path):
    write(tmp_path / "run.yaml", **RUN, optimiser={})
    top = write(tmp_path / "top.yaml", base="run.yaml")
    assert f"{top} over {tmp_path / 'run.yaml'} has 1 fault" in fault(top) and "did you mean 'optimizer'?" in fault(top)
