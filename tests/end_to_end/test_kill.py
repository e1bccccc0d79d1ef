"""The real program, killed with SIGKILL or stopped with SIGTERM at any time and resumed, ends bit for bit as one left alone.

mDPO with crops, dropout, accumulation, two workers and two length buckets over six epochs, each of which ends with a padded batch,
and with held-out evaluations.
"""

import itertools
import shutil
import signal
from pathlib import Path
from typing import NamedTuple

import pytest
from end_to_end import program, world
from end_to_end.program import Program, sealed, unsealed
from training.kill import steps_logged

from jax_mdpo.data.dataset import PairDataset
from jax_mdpo.data.packing import PADDING
from jax_mdpo.models.families.llava import family
from jax_mdpo.recipe.configuration import read_settings
from jax_mdpo.recipe.training import batch_list

PAIRS, EPOCHS, STEPS, EVERY = 14, 6, 24, 3
WORKERS = 2


class Finished(NamedTuple):
    """config: the run's file. directory: of the run that was left alone."""

    config: Path
    directory: Path


@pytest.fixture(scope="module")
def left_alone(checkpoint, tmp_path_factory) -> Finished:
    folder = tmp_path_factory.mktemp("alone")
    data = world.write_pairs(folder / "data", PAIRS)
    config = world.write_config(
        folder / "config.yaml",
        checkpoint,
        data,
        epochs=EPOCHS,
        checkpoint={"every": EVERY, "keep": 3},
        eval_data={"path": str(world.write_pairs(folder / "held-out", 4)), "length_multiple": 8},
        evaluation={"every": 2 * EVERY},
    )
    ended = program.run("train", config, log=folder / "log")
    assert ended.code == 0, ended.output
    return Finished(config, folder / "run")


def test_the_run_crosses_epochs_and_changes_buckets(left_alone):
    """What makes the test below worth its time."""
    settings = read_settings(left_alone.config)
    folder = Path(settings.model.path)
    plans = batch_list(PairDataset.open(settings.data, family.processor(folder)), settings)
    assert len(plans) == STEPS and {plan.epoch for plan in plans} == set(range(EPOCHS))
    assert len({plan.bucket for plan in plans}) == 2
    assert any(one.bucket != other.bucket for one, other in itertools.pairwise(plans) if one.epoch == other.epoch)
    assert sum(PADDING in plan.records for plan in plans) == EPOCHS
    assert settings.lora.lora_dropout > 0 and settings.data.workers == WORKERS and settings.batch.accumulation == 2
    rates = [line["learning_rate"] for line in program.metrics(left_alone.directory)]
    assert max(rates) == pytest.approx(settings.optimizer.learning_rate) and rates[0] == 0


def test_no_program_is_made_once_both_buckets_an_evaluation_and_a_save_were_there(left_alone):
    first_epoch, first_evaluation = STEPS // EPOCHS, 2 * EVERY
    programs = [line["programs"] for line in program.metrics(left_alone.directory, without=())]
    assert programs == sorted(programs) and programs[0] > 0
    assert programs[0] < programs[first_epoch - 1] < programs[first_evaluation - 1]  # the second bucket's, and the evaluation's
    assert set(programs[max(first_epoch, first_evaluation) :]) == {programs[-1]}
    assert "new programs" not in (left_alone.directory.parent / "log").read_text()


def test_killed_at_any_time_and_resumed_it_ends_alike(left_alone, tmp_path):
    """One run, stopped five times. Each moment is waited for, and the program is halted there before it is killed."""
    stopped = Stopped(left_alone.config, tmp_path)
    run = stopped.run

    # The setting of `checkpoint` may change on resume: the first save is out of reach of the first kill.
    stopped.killed("checkpoint.every=100", at=lambda: bool(steps_logged(run)))
    assert not (run / "checkpoints").exists() or not sealed(run) + unsealed(run)

    stopped.killed("--resume", at=lambda: bool(sealed(run) and unsealed(run)))
    [unfinished], [saved] = unsealed(run), sealed(run)[-1:]
    assert saved < STEPS and not (unfinished / "digests.json").exists()

    stopped.killed("--resume", at=lambda: sealed(run)[-1] > saved and steps_logged(run)[-1] > sealed(run)[-1])
    newest = sealed(run)[-1]
    truncate(largest_file(run / "checkpoints" / str(newest)))

    output = stopped.terminated("--resume", at=lambda: len(sealed(run)) > 2 and steps_logged(run)[-1] > sealed(run)[-1])
    assert noticed(run, newest) in output and f"resuming from step {saved}" in output
    older, newer, newest = sealed(run)[-3:]
    assert newest == steps_logged(run)[-1]  # SIGTERM saves the step that it stops after
    flip_a_bit(largest_file(run / "checkpoints" / str(newest)))
    halve(run / "checkpoints" / str(newer))

    output = stopped.finished("--resume")
    assert noticed(run, newest) in output and noticed(run, newer) in output and f"resuming from step {older}" in output
    assert adapter(run) == adapter(left_alone.directory)
    assert steps_logged(run) == list(range(1, STEPS + 1))
    assert program.metrics(run) == program.metrics(left_alone.directory)


def test_killed_after_the_last_save_it_still_writes_the_adapter(left_alone, tmp_path):
    run = shutil.copytree(left_alone.directory, tmp_path / "run")
    shutil.rmtree(run / "adapter")
    Stopped(left_alone.config, tmp_path).finished("--resume")
    assert adapter(run) == adapter(left_alone.directory)
    assert steps_logged(run) == list(range(1, STEPS + 1))


class Stopped:
    """A run that is started and stopped again and again. No process of it may outlive its stop."""

    def __init__(self, config: Path, folder: Path):
        self.config, self.folder, self.run = config, folder, folder / "run"

    def killed(self, *arguments, at) -> None:
        with self._program(arguments) as started:
            ended = started.signal_at(at, signal.SIGKILL)
            assert ended.code == -signal.SIGKILL, ended.output
            assert program.left_after(started) == []

    def terminated(self, *arguments, at) -> str:
        with self._program(arguments) as started:
            ended = started.signal_at(at, signal.SIGTERM)
            assert ended.code == 143, ended.output
            assert "continue with --resume" in ended.output
            assert program.left_after(started) == []
        return ended.output

    def finished(self, *arguments) -> str:
        with self._program(arguments) as started:
            ended = started.ended()
            assert ended.code == 0, ended.output
            assert program.left_after(started) == []
        return ended.output

    def _program(self, arguments) -> Program:
        return Program("train", self.config, f"out={self.run}", *arguments, log=self.folder / "log")


def adapter(run: Path) -> bytes:
    return (run / "adapter" / "adapter_model.safetensors").read_bytes()


def noticed(run: Path, step: int) -> str:
    return f"checkpoint {run / 'checkpoints' / str(step)} cannot be used"


def largest_file(checkpoint: Path) -> Path:
    return max((path for path in checkpoint.rglob("*") if path.is_file()), key=lambda path: path.stat().st_size)


def truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def flip_a_bit(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 4
    path.write_bytes(bytes(content))


def halve(checkpoint: Path) -> None:
    """Every second file is gone, as after a copy that was cut off."""
    for path in sorted(path for path in checkpoint.rglob("*") if path.is_file() and path.name != "digests.json")[::2]:
        path.unlink()
