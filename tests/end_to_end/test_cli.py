"""The command line as a user meets it: every mistake is a message that says what to do, with exit status 2 and no traceback."""

import json
import os
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest
import yaml
from end_to_end import program, world
from end_to_end.program import Ended, Program
from training.kill import steps_logged

from jax_mdpo.data.dataset import PairDataset
from jax_mdpo.models.families.llava import family
from jax_mdpo.recipe.configuration import read_settings
from jax_mdpo.recipe.training import batch_list

SLOW = {"jax", "flax", "optax", "orbax", "grain", "transformers", "pyarrow", "PIL"}


@pytest.fixture(scope="module")
def project(checkpoint, tmp_path_factory) -> Path:
    """A folder with config.yaml, and data whose images are whole."""
    folder = tmp_path_factory.mktemp("project")
    world.write_config(folder / "config.yaml", checkpoint, world.write_pairs(folder / "data", 14))
    return folder


@pytest.fixture
def train(project, tmp_path):
    def run(*arguments: str, config: Path | None = None) -> Ended:
        return program.run("train", config or project / "config.yaml", f"out={tmp_path / 'run'}", *arguments, log=tmp_path / "log")

    return run


def assert_refused(ended: Ended, *parts: str) -> None:
    assert ended.code == 2, ended.output
    assert "error: " in ended.output and "Traceback" not in ended.output
    for part in parts:
        assert part in ended.output


@pytest.mark.parametrize("verb", ["", "train", "score", "export", "preview", "inspect", "demo"])
def test_help(verb, tmp_path):
    ended = program.run(*verb.split(), "--help", log=tmp_path / "log")
    assert ended.code == 0
    assert "Usage: " in ended.output and (not verb or "--out" in ended.output or "CONFIG" in ended.output.upper())


@pytest.mark.parametrize(
    ("override", "parts"),
    [
        ("optimizer.learning_rat=1e-5", ["unknown key 'optimizer.learning_rat'", "did you mean 'learning_rate'?"]),
        ("batch.pairs=many", ["'batch.pairs'", "integer", "got 'many'"]),
        ("objectives=[{name: dpo}]", ["hard_negative is set, but no term", "remove it, or add {name: conditional}"]),
        ("steps=5", ["give either epochs or steps"]),
        ("batch.accumulation=3", ["accumulation 3 must divide the 4 pairs"]),
        ("mesh.data=7", ["mesh", "change mesh.data, mesh.fsdp or mesh.tensor"]),
        ("data.path=nowhere.jsonl", ["nowhere.jsonl", "to fix"]),
        ("model.path=/nowhere/llava", ["/nowhere/llava does not exist", "expected: a checkpoint folder, or a hub id"]),
    ],
)
def test_a_mistake_in_the_settings(train, tmp_path, override, parts):
    assert_refused(train(override), *parts)
    assert not (tmp_path / "run" / "config.yaml").exists()  # the corrected command does not meet a run in its way


def test_a_missing_configuration(train, tmp_path):
    assert_refused(train(config=tmp_path / "none.yaml"), "none.yaml cannot be read", "to fix")


def test_resuming_what_was_never_begun(train, tmp_path):
    assert_refused(train("--resume"), f"there is no run to resume in {tmp_path / 'run'}", "leave out --resume")


@pytest.fixture
def flawed(project, tmp_path) -> Path:
    """A configuration over data in which the picture of pair-3 is missing, and of a record in the first batch no JPEG any more."""
    values = yaml.safe_load((project / "config.yaml").read_text())
    data = world.write_pairs(tmp_path / "data", 14)
    config = world.write_config(tmp_path / "config.yaml", values["model"]["path"], data, epochs=None, steps=24)
    (data.parent / "3.jpg").unlink()
    return config


def spoiled(config: Path) -> str:
    """Spoils a picture of the first batch, as it will be without pair-3; returns its record's id."""
    settings = read_settings(config, ["data.on_bad_record=skip"])
    data = PairDataset.open(settings.data, family.processor(Path(settings.model.path)))
    record = data.records[batch_list(data, settings)[0].records[0]]
    record.image.write_bytes(b"x" * record.image.stat().st_size)
    return record.id


def test_bad_records_stop_the_run_by_name(train, flawed):
    missing = train(config=flawed)
    assert_refused(missing, "record 'pair-3'", "'3.jpg' does not exist", "check data.images")
    name = spoiled(flawed)
    rows = [json.loads(line) for line in (flawed.parent / "data" / "pairs.jsonl").read_text().splitlines()]
    whole = "".join(json.dumps(row) + "\n" for row in rows if row["id"] != "pair-3")
    (flawed.parent / "data" / "pairs.jsonl").write_text(whole)
    # found by a worker, when its batch is made
    assert_refused(train(config=flawed), f"record '{name}'", "cannot be decoded", "leave the record out")


def test_bad_records_are_skipped_and_listed_and_the_run_is_not_overwritten(train, flawed, tmp_path):
    run, name = tmp_path / "run", spoiled(flawed)
    finished = train("data.on_bad_record=skip", config=flawed)
    assert finished.code == 0, finished.output
    listed = {line["id"]: line["reason"] for line in map(json.loads, (run / "skipped.jsonl").read_text().splitlines())}
    assert listed.keys() == {"pair-3", name}
    assert "does not exist" in listed["pair-3"] and "cannot be decoded" in listed[name]
    assert steps_logged(run) == list(range(1, 25)) and (run / "adapter" / "adapter_model.safetensors").exists()
    pairs = [round(line["pairs_per_second"] * line["step_seconds"]) for line in program.metrics(run, without=())]
    assert pairs[0] == 3 and sum(pairs[:4]) == 12  # of 14 records, over the first epoch

    before = {path: path.read_bytes() for path in run.rglob("*") if path.is_file() and path.name != ".lock"}
    assert_refused(train("data.on_bad_record=skip", config=flawed), f"{run} holds a run already", "continue it with --resume")
    assert {path: path.read_bytes() for path in before} == before


def test_importing_the_package_imports_nothing_slow():
    script = "import sys, jax_mdpo; dir(jax_mdpo); print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, env=program.default_environment())
    assert "jax_mdpo" in loaded.stdout.split()
    assert SLOW.isdisjoint(loaded.stdout.split())


def test_ctrl_c_outside_a_loop_says_what_the_next_start_does(tmp_path):
    config = tmp_path / "study.yaml"
    os.mkfifo(config)
    writing: list[int] = []

    def read() -> bool:
        """Whether the program waits for the file's content: only then can it be opened for writing."""
        with suppress(OSError):
            writing.append(os.open(config, os.O_WRONLY | os.O_NONBLOCK))
        return bool(writing)

    with Program("study", config, log=tmp_path / "log") as started:
        ended = started.signal_at(read, signal.SIGINT)
    for descriptor in writing:
        os.close(descriptor)
    assert ended.code == 130, ended.output
    assert "stopped by Ctrl-C: give the same command again" in ended.output and "Traceback" not in ended.output
