"""A grid of tiny runs by the real program: every cell once, killed and continued, and the same figures however often it is made."""

import json
import shutil
import signal
from pathlib import Path
from statistics import fmean

import pytest
import yaml
from end_to_end import program, world
from end_to_end.program import Program
from training.kill import steps_logged

from jax_mdpo.core.errors import ConfigError, RunError
from jax_mdpo.studies.grid import cells
from jax_mdpo.studies.run import run_study
from jax_mdpo.studies.settings import read_study

STEPS = 3
CELLS = ["base", "dpo-0", "dpo-1"]


def write_study(folder: Path, model: Path) -> Path:
    """A model, five pairs to train on and to judge, two questions, and what to make of them."""
    pairs = world.write_pairs(folder / "data", 5)
    labels = enumerate(("yes", "no"))
    questions = [{"question_id": i, "image": f"{i}.jpg", "text": "is there a cat ?", "label": label} for i, label in labels]
    (folder / "pope.jsonl").write_text("".join(json.dumps(row) + "\n" for row in questions))
    values = {
        "title": "What training does",
        "about": "It moves figures.\n\nOn a tiny model.",
        "out": str(folder / "study"),
        "worlds": {"tiny": {"name": "files", "paths": {"model": str(model), "pairs": str(pairs), "images": str(folder / "data")}}},
        "seeds": [0, 1],
        "run": {
            "model": {"path": "{model}"},
            "data": {"path": "{pairs}", "length_multiple": 8},
            "lora": {"r": 2, "lora_alpha": 8},
            "batch": {"pairs": 2, "logits_chunk": 8},
            "optimizer": {"learning_rate": 1e-2},
            "checkpoint": {"every": 2},
            "steps": STEPS,
        },
        "runs": {
            "base": None,
            "dpo": {"objectives": [{"name": "dpo"}]},
        },
        "evaluations": {
            "held_out": {"pairs": "{pairs}"},
            "questions": {"benchmark": {"name": "pope"}, "data": str(folder / "pope.jsonl"), "images": "{images}", "max_tokens": 4},
        },
        "baseline": "base",
        "headline": ["held_out/log-prob/Accuracy", "questions/pope/Accuracy"],
    }
    path = folder / "study.yaml"
    path.write_text(yaml.safe_dump(values))
    return path


@pytest.fixture(scope="module")
def finished(tmp_path_factory, model):
    folder = tmp_path_factory.mktemp("finished")
    config = write_study(folder, model)
    ended = program.run("study", config, log=folder / "log")
    assert ended.code == 0, ended.output
    return config, folder / "study"


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return world.write_checkpoint(tmp_path_factory.mktemp("model") / "checkpoint")


def figures(out: Path) -> list[dict]:
    return json.loads((out / "results.json").read_text())


def held(out: Path) -> dict[str, bytes]:
    """What every cell comes to: its items, and its metrics without the paths in them."""
    files = {str(path.relative_to(out)): path.read_bytes() for path in sorted(out.glob("cells/*/*/eval/*/items.jsonl"))}
    adapters = {str(path.relative_to(out)): path.read_bytes() for path in sorted(out.glob("cells/*/*/run/adapter/*.safetensors"))}
    return files | adapters


def test_every_cell_is_made_and_compared(finished):
    config, out = finished
    assert [cell.folder(out).name for cell in cells(read_study(config))] == CELLS
    assert sorted(path.name for path in (out / "cells" / "tiny").iterdir()) == sorted(CELLS)
    assert len(held(out)) == 3 * 2 + 2
    rows = figures(out)
    assert [(row["run"], row["seed"]) for row in rows] == [("base", None), ("dpo", 0), ("dpo", 1)]
    for row in rows:
        cell = out / "cells" / "tiny" / (row["run"] if row["seed"] is None else f"{row['run']}-{row['seed']}")
        said = json.loads((cell / "eval" / "held_out" / "metrics.json").read_text())
        assert row["figures"]["held_out/log-prob/Accuracy"] == said["unrounded"]["log-prob"]["Accuracy"]
    accuracies = [row["figures"]["held_out/log-prob/Accuracy"] for row in rows if row["run"] == "dpo"]
    assert f"| dpo | {fmean(accuracies):.1f} (" in (out / "table.md").read_text()
    page = (out / "report.html").read_text()
    assert "What training does" in page and "On a tiny model." in page


def test_killed_and_continued_it_repeats_nothing_and_comes_to_the_same(finished, model, tmp_path):
    _, whole = finished
    config = write_study(tmp_path, model)
    out = tmp_path / "study"
    second = out / "cells" / "tiny" / "dpo-1"
    with Program("study", config, log=tmp_path / "log") as started:
        ended = started.signal_at(lambda: (second / "run" / "metrics.jsonl").exists(), signal.SIGKILL)
        assert ended.code == -signal.SIGKILL
    done = {path: path.stat().st_mtime_ns for path in out.glob("cells/*/*/cell.json")}
    assert [path.parent.name for path in sorted(done)] == ["base", "dpo-0"]
    ended = program.run("study", config, log=tmp_path / "again")
    assert ended.code == 0, ended.output
    assert "cell 3 of 3: dpo, seed 1, tiny" in ended.output
    assert all(path.stat().st_mtime_ns == when for path, when in done.items())
    steps = [json.loads(line)["step"] for line in (second / "run" / "metrics.jsonl").read_text().splitlines()]
    assert steps == list(range(1, STEPS + 1))
    assert held(out).keys() == held(whole).keys()
    assert held(out) == {name: content.replace(str(whole.parent).encode(), str(tmp_path).encode()) for name, content in held(whole).items()}
    assert figures(out) == figures(whole)


def test_a_stopped_study_says_how_it_goes_on(model, tmp_path):
    config = write_study(tmp_path, model)
    run = tmp_path / "study" / "cells" / "tiny" / "dpo-0" / "run"
    with Program("study", config, "run.steps=5000", log=tmp_path / "log") as started:
        ended = started.signal_at(lambda: len(steps_logged(run)) > 1, signal.SIGINT)
    assert ended.code == 130, ended.output
    assert "the state is saved: the same command goes on from there" in ended.output and "--resume" not in ended.output


def test_a_finished_cell_is_not_taken_for_one_of_other_settings(finished, tmp_path):
    config, out = finished
    study = read_study(config, ["run.optimizer.learning_rate=1e-3"])
    with pytest.raises(RunError, match=r"the cell dpo, seed 0, tiny was finished under other settings[\s\S]*learning_rate: 0.01 -> 0.001"):
        run_study(study)
    with pytest.raises(RunError, match="sample: None -> 1"):
        run_study(read_study(config, ["evaluations.questions.sample=1"]))
    assert (out / "report.html").exists()


@pytest.mark.parametrize(
    ("override", "said"),
    [
        ("baseline=ppo", "baseline 'ppo' is none of the runs"),
        ("seeds=[]", "seeds is empty"),
        ("headline=[pope/Accuracy]", "expected evaluation/row/column"),
        ("run.out=x", "run sets out, which the study sets"),
        ("worlds.tiny.name=sceens", "has no known name"),
        ('runs={"a/b": null}', "becomes the name of a folder"),
    ],
)
def test_settings_that_make_no_study_are_refused(finished, override, said):
    with pytest.raises(ConfigError, match=said):
        read_study(finished[0], [override])


@pytest.mark.parametrize("what", ["a folder with other files", "a file"])
def test_nothing_of_others_is_overwritten(finished, tmp_path, what):
    config, _ = finished
    mine = tmp_path / "report.html"
    mine.write_text("mine")
    study = read_study(config, [f"out={tmp_path if what == 'a folder with other files' else mine}"])
    with pytest.raises(RunError, match=f"is no study's[\\s\\S]*{what}[\\s\\S]*out=FOLDER"):
        run_study(study)
    assert [path.name for path in tmp_path.iterdir()] == ["report.html"] and mine.read_text() == "mine"


def test_an_evaluation_of_the_base_can_be_taken_away(finished, tmp_path):
    config, _ = finished
    derived = tmp_path / "derived.yaml"
    derived.write_text(yaml.safe_dump({"base": str(config), "evaluations": {"questions": None}, "headline": []}))
    assert set(read_study(derived).evaluations) == {"held_out"}
    with pytest.raises(ConfigError, match="evaluations is empty"):
        read_study(derived, ["evaluations.held_out=null"])


def test_a_name_that_the_world_does_not_bring_is_refused(finished, tmp_path):
    config, _ = finished
    study = read_study(config, ["run.data.path='{pears}'", f"out={tmp_path}"])
    with pytest.raises(ConfigError, match=r"names \{pears\}, which its world does not bring[\s\S]*pairs"):
        run_study(study)
    shutil.rmtree(tmp_path)


def test_a_fault_in_the_last_run_is_said_before_the_first_one_is_made(finished, tmp_path):
    config, _ = finished
    study = read_study(config, ["runs.worse={objectives: [{name: dpo, beat: 0.1}]}", f"out={tmp_path / 'study'}"])
    with pytest.raises(ConfigError, match=r"run 'worse'[\s\S]*unknown key 'beat'[\s\S]*beta"):
        run_study(study)
    assert not list(tmp_path.glob("study/cells/*/*"))
