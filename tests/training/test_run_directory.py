"""A run directory admits one run, continues only what was started in it, and one process at a time."""

import subprocess
import sys

import pytest
import yaml

from jax_mdpo.core.errors import RunError
from jax_mdpo.training.run_directory import RunDirectory, claimed

CONFIG = {"seed": 0, "lora": {"r": 8, "targets": ("q", "v")}, "data": {"path": "a", "workers": 2}, "checkpoint": {"every": 5}, "out": "x"}


def start(out, config=None, *, resume=False):
    with claimed(out, config or CONFIG, resume=resume) as run:
        return run


def test_the_resolved_configuration_is_stored(tmp_path):
    run = start(tmp_path / "deep" / "run")
    assert yaml.safe_load(run.config.read_text()) == {**CONFIG, "lora": {"r": 8, "targets": ["q", "v"]}}


@pytest.mark.parametrize("trace", ["config.yaml", "metrics.jsonl", "checkpoints", "adapter"])
def test_a_directory_that_holds_a_run_is_not_overwritten(tmp_path, trace):
    (tmp_path / trace).write_text("precious")
    with pytest.raises(RunError, match=r"(?s)holds a run already.*--resume.*out="):
        start(tmp_path)
    assert (tmp_path / trace).read_text() == "precious"


def test_a_start_that_fails_before_training_leaves_the_directory_free(tmp_path):
    with pytest.raises(OSError, match="no such model"), claimed(tmp_path / "run", CONFIG, resume=False):
        raise OSError("no such model")
    assert not start(tmp_path / "run", {**CONFIG, "steps": 7}).resuming


def test_a_failure_after_that_keeps_what_was_made(tmp_path):
    with pytest.raises(OSError, match="disk"), claimed(tmp_path / "run", CONFIG, resume=False) as run:
        run.metrics.write_text("{}\n")
        raise OSError("disk")
    assert run.config.exists() and start(tmp_path / "run", resume=True).resuming


def test_other_files_in_the_directory_do_no_harm(tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    assert not start(tmp_path).resuming
    assert (tmp_path / "notes.txt").read_text() == "mine"


def test_resuming_needs_a_run_and_makes_no_directory(tmp_path):
    with pytest.raises(RunError, match="no run to resume"):
        start(tmp_path / "missing", resume=True)
    assert not (tmp_path / "missing").exists()


def test_resuming_refuses_changed_keys_and_lists_them(tmp_path):
    start(tmp_path)
    changed = {**CONFIG, "seed": 1, "lora": {"r": 16, "targets": ["q", "v"]}, "extra": True}
    changed["data"] = {"path": "a", "workers": 9}
    with pytest.raises(RunError) as caught:
        start(tmp_path, changed, resume=True)
    listed = [line.strip() for line in str(caught.value).splitlines() if line.startswith("  - ")]
    assert listed == ["- seed: 0 -> 1", "- lora.r: 8 -> 16", "- extra: '(absent)' -> True"]
    assert yaml.safe_load((tmp_path / "config.yaml").read_text())["seed"] == 0


def test_resuming_accepts_changes_that_do_not_matter_to_the_result(tmp_path):
    start(tmp_path)
    free = {**CONFIG, "data": {"path": "a", "workers": 0}, "checkpoint": {"every": 7}, "out": "../y"}
    assert start(tmp_path, free, resume=True).resuming
    assert yaml.safe_load((tmp_path / "config.yaml").read_text())["checkpoint"] == {"every": 7}


@pytest.mark.parametrize("content", ["- a list", "{unclosed", "\x00"])
def test_an_unreadable_stored_configuration_is_named(tmp_path, content):
    (tmp_path / "config.yaml").write_text(content)
    with pytest.raises(RunError, match=r"config\.yaml cannot be read"):
        start(tmp_path, resume=True)


HOLDER = """
import sys
from pathlib import Path
from jax_mdpo.training.locking import locked
with locked(Path(sys.argv[1]), main=True) as lock:
    print("refused" if lock.refusal else "holding", flush=True)
    sys.stdin.read()
"""


def test_two_processes_cannot_train_into_one_directory_until_the_first_dies(tmp_path):
    start(tmp_path)
    command = [sys.executable, "-c", HOLDER, str(tmp_path / ".lock")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout.readline() == "holding\n"
        with pytest.raises(RunError, match=rf"(?s)in use by process {holder.pid} on .*to fix"):
            start(tmp_path, resume=True)
        holder.kill()
    assert start(tmp_path, resume=True).resuming


def test_paths_of_a_run(tmp_path):
    run = RunDirectory(tmp_path)
    assert {path.name for path in (run.config, run.metrics, run.skipped, run.events, run.checkpoints, run.adapter)} == {
        "config.yaml", "metrics.jsonl", "skipped.jsonl", "events", "checkpoints", "adapter",
    }  # fmt: skip
