"""The loop in one process: what it logs, when it evaluates and saves, and what stops it."""

import json
import os
import signal

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from training import toy

from jax_mdpo.core.errors import ConfigError, RunError
from jax_mdpo.training.loop import HeldOut
from jax_mdpo.training.settings import BestMetric, CheckpointSettings, EvaluationSettings, LogSettings, LoopSettings
from jax_mdpo.training.signals import Interrupted


def lines(out) -> list[dict]:
    return [json.loads(line) for line in (out / "metrics.jsonl").read_text(encoding="utf-8").splitlines()]


def checkpoints(out) -> list[int]:
    return sorted(int(path.name) for path in (out / "checkpoints").iterdir())


def assert_same(found, expected):
    for one, other in zip(jax.tree.leaves(found), jax.tree.leaves(expected), strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.fixture(scope="module")
def trained(toy_trainer, tmp_path_factory):
    """(run directory, last state) of 12 steps, saved every 3."""
    out = tmp_path_factory.mktemp("trained")
    return out, toy_trainer.train(out, steps=12)


def test_every_step_stands_once_with_its_values_and_speeds(trained):
    found = lines(trained[0])
    assert [line["step"] for line in found] == list(range(1, 13))
    for line in found:
        assert set(line) == {
            "step", "loss", "grad_norm", "rewards/margin", "pairs_per_second", "tokens_per_second", "step_seconds", "data_wait_seconds",
            "peak_memory_bytes", "programs", "compilations",
        }  # fmt: skip
        assert line["loss"] == -line["rewards/margin"] and line["step_seconds"] > 0 and line["data_wait_seconds"] >= 0
    peaks = [line["peak_memory_bytes"] for line in found]
    assert peaks == sorted(peaks) and peaks[0] > 2**20  # an interpreter alone needs more


def test_rates_count_valid_pairs_and_unpadded_tokens(trained):
    pairs = [round(line["pairs_per_second"] * line["step_seconds"], 6) for line in lines(trained[0])]
    tokens = [round(line["tokens_per_second"] * line["step_seconds"], 6) for line in lines(trained[0])]
    assert pairs == [4, 4, 2, 0, 4] * 2 + [4, 4]  # the third batch of an epoch has two valid rows, the fourth none
    assert tokens == [(3 + 2 + 1) * count for count in pairs]


def test_values_are_those_of_the_step_itself(trained, toy_trainer):
    out, last = trained
    state, losses, source = toy_trainer.state(), [], toy.batches(0)
    for _ in range(12):
        state, metrics = toy_trainer.step(state, next(source).batch)
        losses.append(float(metrics["loss"]))
    assert [line["loss"] for line in lines(out)] == losses
    assert_same(last, state)


def test_each_skipped_record_is_listed_once(trained):
    found = [json.loads(line) for line in (trained[0] / "skipped.jsonl").read_text(encoding="utf-8").splitlines()]
    expected = [("b", "no image"), ("ä", "über-long"), *((f"c{row}", "empty") for row in range(4))]
    assert found == [{"id": name, "reason": reason, "data": "data"} for name, reason in expected]


def test_held_out_records_are_listed_apart_from_training_records_of_the_same_id(toy_trainer, tmp_path):
    skipped = [("b", "cannot be decoded"), ("x", "too long")]
    settings = LoopSettings(checkpoint=CheckpointSettings(every=3), evaluation=EvaluationSettings(every=2))
    for steps, resume in ((4, False), (8, True)):
        toy_trainer.train(tmp_path, steps=steps, resume=resume, settings=settings, evaluate=lambda state: HeldOut({"b": 0.0}, skipped))
    found = [json.loads(line) for line in (tmp_path / "skipped.jsonl").read_text(encoding="utf-8").splitlines()]
    assert {"id": "b", "reason": "no image", "data": "data"} in found
    assert [line for line in found if line["data"] != "data"] == [
        {"id": "b", "reason": "cannot be decoded", "data": "eval_data"},
        {"id": "x", "reason": "too long", "data": "eval_data"},
    ]
    assert len(found) == 6 + 2


def test_the_last_step_is_saved_and_two_are_kept(toy_trainer, tmp_path):
    toy_trainer.train(tmp_path, steps=7)
    assert checkpoints(tmp_path) == [6, 7]


def test_a_finished_run_resumes_to_its_last_state_without_a_step(trained, toy_trainer):
    out, last = trained
    before = (out / "metrics.jsonl").read_bytes()

    def needless(*arguments):
        raise AssertionError("nothing is left to do")

    assert_same(toy_trainer.train(out, steps=12, resume=True, step=needless, batches=needless), last)
    assert (out / "metrics.jsonl").read_bytes() == before


@pytest.mark.parametrize("where", ["step", "evaluation"])
def test_a_program_that_is_made_late_is_counted_and_warned_of_once(toy_trainer, tmp_path, capsys, where):
    def late(state) -> None:
        if int(state.step) in (7, 8, 9):  # after a first step of these shapes, and a first evaluation
            jax.jit(lambda x: x + int(state.step))(jnp.ones(()))

    def step(state, batch):
        if where == "step":
            late(state)
        return toy_trainer.step(state, batch)

    def evaluate(state):
        if where == "evaluation":
            late(state)
        return HeldOut({"b": 0.0})

    settings = LoopSettings(evaluation=EvaluationSettings(every=1), logging=LogSettings(console_every=1000))
    toy_trainer.train(tmp_path, steps=11, settings=settings, step=step, evaluate=evaluate)
    programs = [line["programs"] for line in lines(tmp_path)]
    first = 8 if where == "step" else 7  # step 8 begins with the state after 7 steps, which is what the evaluation of step 7 sees
    assert len(set(programs[: first - 1])) == 1 and programs[first - 1 : first + 2] == [programs[0] + more for more in (1, 2, 3)]
    assert programs[-1] == programs[0] + 3
    warning = f"step {first}, though" if where == "step" else f"evaluation after step {first}, though"
    output = capsys.readouterr().err
    assert output.count("new program") == 1 and warning in output


def evaluating(every: int, metric: str = "eval/b", mode="max") -> LoopSettings:
    return LoopSettings(
        checkpoint=CheckpointSettings(every=4, best=BestMetric(metric=metric, mode=mode)),
        evaluation=EvaluationSettings(every=every),
        logging=LogSettings(console_every=1000),
    )


def test_held_out_metrics_join_their_step_and_choose_the_best(toy_trainer, tmp_path):
    figures = {2: 0.0, 4: 5.0, 6: 9.0, 8: 1.0, 10: 2.0, 12: 3.0, 13: 4.0}
    seen = []

    def evaluate(state):
        seen.append(int(state.step))
        return HeldOut({"b": figures[int(state.step)]})

    toy_trainer.train(tmp_path, steps=13, settings=evaluating(2), evaluate=evaluate)
    assert seen == list(figures)
    assert {line["step"]: line["eval/b"] for line in lines(tmp_path) if "eval/b" in line} == figures
    assert checkpoints(tmp_path) == [4, 12, 13]  # of the saved steps 4, 8, 12 and 13, step 4 has the highest value


@pytest.mark.parametrize(("metric", "nearest"), [("eval/bb", "eval/b"), ("rewards/margins", "rewards/margin")])
def test_an_unknown_best_metric_is_refused_as_soon_as_it_can_be_known(toy_trainer, tmp_path, metric, nearest):
    with pytest.raises(ConfigError, match=rf"checkpoint\.best\.metric '{metric}'.*did you mean '{nearest}'"):
        toy_trainer.train(tmp_path, settings=evaluating(2, metric), evaluate=lambda state: HeldOut({"b": 0.0}))
    assert len(lines(tmp_path)) <= 2


def test_a_loss_that_is_not_finite_stops_the_run_before_it_is_saved(tmp_path, toy_trainer):
    step, _ = toy.make_step(nan_at=6)
    with pytest.raises(RunError, match=r"(?s)diverged at step 6.*loss = nan"):
        toy_trainer.train(tmp_path, step=step)
    assert lines(tmp_path)[-1]["step"] == 6 and lines(tmp_path)[-1]["loss"] is None
    assert checkpoints(tmp_path) == [3]


def test_a_step_without_pairs_has_no_loss_to_be_finite(tmp_path, toy_trainer):
    step, _ = toy.make_step(nan_at=4)  # the fourth batch has no valid row
    assert int(toy_trainer.train(tmp_path, step=step, steps=5).step) == 5


def test_data_that_end_early_are_an_error(toy_trainer, tmp_path):
    with pytest.raises(RunError, match="ended before step 3"):
        toy_trainer.train(tmp_path, batches=lambda start: iter([toy.host_batch(0), toy.host_batch(1)]))


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_the_run_after_its_step_and_the_rest_can_follow(toy_trainer, trained, tmp_path, number):
    def batches(start):
        for place, batch in enumerate(toy.batches(start)):
            if place == 6:  # two batches are under way while a step runs, so this one is fetched after step 5 is queued
                os.kill(os.getpid(), number)
            yield batch

    with pytest.raises(Interrupted) as caught:
        toy_trainer.train(tmp_path, steps=12, batches=batches)
    stopped_at = checkpoints(tmp_path)[-1]
    assert caught.value.signal == number and f"after step {stopped_at}" in str(caught.value)
    assert [line["step"] for line in lines(tmp_path)] == list(range(1, stopped_at + 1)) and 3 < stopped_at < 12
    assert_same(toy_trainer.train(tmp_path, steps=12, resume=True), trained[1])
    assert [line["step"] for line in lines(tmp_path)] == list(range(1, 13))
