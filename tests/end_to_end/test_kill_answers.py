"""The real program, killed with SIGKILL while a model answers: started again it repeats no item, loses none, and ends byte for byte alike.

What it is compared with runs in this process, with the same programs.
"""

import json
import os
import signal
from collections import Counter
from pathlib import Path

import pictured
import pytest
import tracked
import yaml
from end_to_end import program
from end_to_end.program import Program, sealed
from tracked import EVERY
from training.kill import steps_logged

import jax_mdpo
from jax_mdpo.recipe.training import train

EACH, BATCH = 32, 2
TOTAL = len(pictured.SPLITS) * EACH
SHORT = ("--max-tokens", 24, "--batch", BATCH)
ENVIRONMENT = {"XLA_FLAGS": os.environ["XLA_FLAGS"]}
STEPS = 16


@pytest.fixture(scope="module")
def pope(tmp_path_factory):
    return pictured.pope(tmp_path_factory.mktemp("pope") / "questions", EACH)


@pytest.fixture(scope="module")
def alone(checkpoint, pope, tmp_path_factory):
    """An evaluation that was not stopped."""
    out = tmp_path_factory.mktemp("alone")
    decoding = jax_mdpo.Decoding(max_tokens=24)
    jax_mdpo.evaluate_model("pope", str(checkpoint), data=pope[0], images=pope[1], out=out, decoding=decoding, batch=BATCH)
    return out


def answered(path: Path) -> int:
    return len(path.read_bytes().splitlines()) if path.exists() else 0


def killed(arguments, answers: Path, after: int) -> None:
    """Runs the program until more than `after` answers stand in the file, but not all, and kills it."""
    with Program(*arguments, log=answers.parent / "log", environment=ENVIRONMENT) as started:
        ended = started.signal_at(lambda: after < answered(answers) < TOTAL, signal.SIGKILL)
        assert ended.code == -signal.SIGKILL, ended.output


def finished(arguments, answers: Path) -> str:
    ended = program.run(*arguments, log=answers.parent / "log", environment=ENVIRONMENT)
    assert ended.code == 0, ended.output
    return ended.output


def test_an_evaluation_that_was_killed(checkpoint, pope, alone, tmp_path):
    answers = tmp_path / "out" / "answers.jsonl"
    answers.parent.mkdir()
    arguments = ("eval", "pope", checkpoint, "--data", pope[0], "--images", pope[1], "--out", answers.parent, *SHORT)
    killed(arguments, answers, after=TOTAL // 4)
    held = answers.read_bytes()
    assert not (answers.parent / "metrics.json").exists()
    output = finished(arguments, answers)
    whole = held.splitlines(keepends=True)[: held.count(b"\n") // BATCH * BATCH]
    assert f"{TOTAL - len(whole)} questions answered in" in output
    assert answers.read_bytes().startswith(b"".join(whole))
    for name in ("answers.jsonl", "items.jsonl", "metrics.json"):
        assert (answers.parent / name).read_bytes() == (alone / name).read_bytes(), name
    rows = Counter((row["split"], row["question_id"]) for row in pictured.read_lines(answers))
    assert len(rows) == TOTAL and set(rows.values()) == {1}


def test_a_file_of_requests_whose_answering_was_killed(checkpoint, pope, alone, tmp_path):
    """The same questions as plain requests get the same answers."""
    asked = pictured.read_lines(alone / "items.jsonl")
    rows = [{"id": f"{row['part']} {row['id']}", "prompt": row["question"], "image": row["image"]} for row in asked]
    data, answers = pictured.write_lines(tmp_path / "requests.jsonl", rows), tmp_path / "answers.jsonl"
    arguments = ("generate", checkpoint, "--data", data, "--images", pope[1], "--out", answers, *SHORT)
    killed(arguments, answers, after=TOTAL // 2)
    finished(arguments, answers)
    found = pictured.read_lines(answers)
    assert [(row["id"], row["text"]) for row in found] == [(f"{row['part']} {row['id']}", row["answer"]) for row in asked]


def test_a_run_that_tracks_a_benchmark_and_was_killed_after_an_evaluation(checkpoint, pope, tmp_path, monkeypatch):
    """The evaluation's step comes again, and so does what it left behind."""
    best = {"metric": "eval/pope/mean_of_3_splits/accuracy", "mode": "max"}
    data, checkpoints = tracked.write_data(tmp_path / "data"), {"every": 2 * EVERY, "best": best}
    config = tmp_path / "config.yaml"
    config.write_text(yaml.safe_dump(tracked.settings(checkpoint, data, "run", checkpoint=checkpoints, steps=STEPS)))
    for name in ("alone", "killed"):
        (tmp_path / name).mkdir()
    monkeypatch.chdir(tmp_path / "alone")
    undisturbed = train(yaml.safe_load(config.read_text()))
    run, log = tmp_path / "killed" / "run", tmp_path / "killed" / "log"

    def evaluated_since_the_last_save() -> bool:
        return bool(sealed(run)) and steps_logged(run)[-1] // EVERY * EVERY > sealed(run)[-1]

    with Program("train", config, log=log, environment=ENVIRONMENT) as started:
        ended = started.signal_at(evaluated_since_the_last_save, signal.SIGKILL)
        assert ended.code == -signal.SIGKILL, ended.output
    saved, evaluated = sealed(run)[-1], steps_logged(run)[-1] // EVERY * EVERY
    stale = run / "evaluations" / "pope" / str(evaluated) / "stale"
    stale.write_text("of the step that is cut off")
    ended = program.run("train", config, "--resume", log=log, environment=ENVIRONMENT)
    assert ended.code == 0 and saved < evaluated, ended.output
    assert not stale.exists()
    assert "new programs" not in ended.output
    assert program.metrics(run) == program.metrics(undisturbed)
    assert evaluations(run) == evaluations(undisturbed)
    assert len(evaluations(run)) == 4 * STEPS // EVERY  # answers and their origin, items, metrics
    assert json.loads(evaluations(run)[f"pope/{evaluated}/metrics.json"])["made_by"]["step"] == evaluated


def evaluations(run: Path) -> dict[str, bytes]:
    """What evaluations left behind, by path."""
    folder = run / "evaluations"
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}
