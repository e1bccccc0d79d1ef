"""Benchmarks during training: their figures are metrics, the best checkpoint goes by them, and the training is what it is without them."""

import json

import jax
import pictured
import pytest
import tracked
import yaml
from end_to_end import world
from pictured import read_lines
from tracked import EVERY, METRIC, SAMPLE, STEPS, benchmark

import jax_mdpo
from jax_mdpo.core.errors import ConfigError, UserError
from jax_mdpo.recipe.configuration import plain, settings_of
from jax_mdpo.recipe.evaluating import evaluate
from jax_mdpo.recipe.tracking import metrics_of, slug
from jax_mdpo.recipe.training import train
from jax_mdpo.training.programs import Programs

EVALUATED = list(range(EVERY, STEPS + 1, EVERY))


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return world.write_checkpoint(tmp_path_factory.mktemp("model") / "checkpoint")


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return tracked.write_data(tmp_path_factory.mktemp("data"))


def settings(model, data, out, **changes):
    return settings_of(tracked.settings(model, data, out / "run", **changes))


@pytest.fixture(scope="module")
def run(model, data, tmp_path_factory):
    return train(settings(model, data, tmp_path_factory.mktemp("tracked")))


def metrics(
    run, *, without=("pairs_per_second", "tokens_per_second", "step_seconds", "data_wait_seconds", "peak_memory_bytes", *Programs._fields)
):
    return [{name: value for name, value in line.items() if name not in without} for line in read_lines(run / "metrics.jsonl")]


def test_figures_stand_in_the_log_and_what_they_are_of_beside_it(run, data):
    lines = metrics(run)
    assert [any(name.startswith("eval/") for name in line) for line in lines] == [line["step"] in EVALUATED for line in lines]
    assert sorted(int(folder.name) for folder in (run / "evaluations" / "pope").iterdir()) == EVALUATED
    answered = set()
    for step in EVALUATED:
        folder = run / "evaluations" / "pope" / str(step)
        found = json.loads((folder / "metrics.json").read_text())
        assert {f"eval/{name}": value for name, value in metrics_of("pope", found["unrounded"]).items()} == {
            name: value for name, value in lines[step - 1].items() if name.startswith("eval/")
        }
        assert found["items"] == dict.fromkeys(pictured.SPLITS, SAMPLE / 3)
        assert (found["made_by"]["step"], found["made_by"]["sample"]) == (step, SAMPLE)
        assert f"{SAMPLE} of 24 questions were asked" in found["remarks"][0]
        assert len(read_lines(folder / "items.jsonl")) == SAMPLE
        answered.add((folder / "answers.jsonl").read_bytes())
    assert len(answered) > 1  # the policy that is asked is the one in training


def test_the_last_evaluation_is_that_of_the_adapter_that_was_written(run, model, data, tmp_path):
    answers = run / "evaluations" / "pope" / str(STEPS) / "answers.jsonl"
    requests = [
        jax_mdpo.Request(place, row["question"], data.images / f"{row['question_id'] % 4}.jpg")
        for place, row in enumerate(read_lines(answers))
    ]
    texts = jax_mdpo.generate(model, requests, jax_mdpo.Decoding(max_tokens=6), adapter=run / "adapter", batch=4)
    assert [row["answer"] for row in read_lines(answers)] == [answer.text for answer in texts]
    scored = evaluate("pope", answers=answers, data=data.questions, out=tmp_path, partial=True)
    assert scored["unrounded"] == json.loads((answers.parent / "metrics.json").read_text())["unrounded"]


def test_the_best_checkpoint_by_a_figure_outlives_later_ones(model, data, tmp_path):
    """By a figure that falls: the first checkpoint is the best of five, of which two are kept besides."""
    best = {"metric": "eval/own/words/shortest", "mode": "max"}
    one = benchmark(data, benchmark="tracked:Falling", label="Own")
    made = settings(
        *(model, data, tmp_path),
        evaluation={"every": 1, "benchmarks": [one]},
        checkpoint={"every": 1, "keep": 2, "best": best},
        steps=5,
    )
    run = train(made)
    figures = [line[best["metric"]] for line in metrics(run)]
    assert figures == [-1.0, -2.0, -3.0, -4.0, -5.0]
    assert sorted(int(path.name) for path in (run / "checkpoints").iterdir() if path.name.isdecimal()) == [1, 4, 5]


def test_no_program_is_made_after_the_first_evaluation(run):
    programs = [line["programs"] for line in read_lines(run / "metrics.jsonl")]
    assert set(programs[EVERY:]) == {programs[-1]}  # what the first save made is counted from the next step on


def test_the_training_is_what_it_is_without(run, model, data, tmp_path):
    alone = train(settings(model, data, tmp_path, evaluation=None, checkpoint={"every": EVERY}))
    assert (alone / "adapter" / "adapter_model.safetensors").read_bytes() == (run / "adapter" / "adapter_model.safetensors").read_bytes()
    assert metrics(alone) == [{name: value for name, value in line.items() if not name.startswith("eval/")} for line in metrics(run)]


def test_held_out_pairs_and_several_benchmarks_together(model, data, tmp_path):
    several = [benchmark(data), benchmark(data, label="POPE random", only=["random"], sample=None)]
    made = settings(
        *(model, data, tmp_path),
        eval_data={"path": str(data.pairs), "length_multiple": 8},
        evaluation={"every": 1, "benchmarks": several},
        checkpoint={"every": 1, "best": {"metric": "eval/pope_random/random/f1_score", "mode": "max"}},
        steps=1,
    )
    assert settings_of(yaml.safe_load(yaml.safe_dump(plain(made)))) == made
    [line] = metrics(train(made))
    assert {"eval/loss", "eval/reliance/pairs", METRIC, "eval/pope/mean_of_3_splits/f1_score", "eval/pope_random/random/tp"} <= set(line)
    assert line["eval/pope_random/random/tp"] + line["eval/pope_random/random/fn"] == 4


def test_a_best_metric_that_is_not_there_is_told_from_those_that_are(model, data, tmp_path):
    best = {"metric": "eval/pope/adversarial/acuracy", "mode": "max"}
    with pytest.raises(ConfigError, match=f"did you mean '{METRIC}'"):
        train(
            settings(model, data, tmp_path, checkpoint={"every": 1, "best": best}, evaluation={"every": 1, "benchmarks": [benchmark(data)]})
        )


def test_what_is_missing_or_contradicts_is_said_at_the_start(data, tmp_path, monkeypatch):
    def refused(match, *benchmarks, error=ConfigError):
        with pytest.raises(error, match=match):
            train(settings("nowhere", data, tmp_path, evaluation={"every": 1, "benchmarks": list(benchmarks)}, checkpoint={"every": 1}))
        assert not (tmp_path / "run" / "config.yaml").exists()

    refused("names 'pope' twice", benchmark(data), benchmark(data))
    refused("'evaluation.benchmarks.0.data' is missing", {"benchmark": "pope"})
    refused("did you mean 'pope'", benchmark(data, benchmark="pop"))
    refused("unknown key 'evaluation.benchmarks.0.smaple'", benchmark(data, smaple=3))
    refused("sample must be at least 1", benchmark(data, sample=0))
    refused("there is no image folder", benchmark(data, images=str(tmp_path / "none")), error=UserError)
    refused("there is no benchmark data", benchmark(data, data=str(tmp_path / "none")), error=UserError)
    monkeypatch.setattr(jax, "process_count", lambda: 2)
    with pytest.raises(ConfigError, match=r"evaluation\.benchmarks needs a run in one process"):
        jax_mdpo.recipe.training.prepare(settings("nowhere", data, tmp_path))


def test_names_of_metrics():
    assert (
        slug("F1 score") == "f1_score" and slug("object-halbench") == "object-halbench" and slug("mean of 3 splits") == "mean_of_3_splits"
    )
    assert slug("my_module:My Benchmark") == "my_module_my_benchmark"
    assert metrics_of("chair", {"CHAIR": {"CHAIRs": 1.5}}) == {"chair/chair/chairs": 1.5}
