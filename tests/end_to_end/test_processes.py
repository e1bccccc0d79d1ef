"""Two processes under jax.distributed on loopback train as one does, each on its own rows of the data."""

import itertools
import json
import shutil
import signal
import socket
from contextlib import ExitStack
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
from end_to_end import program, world
from end_to_end.program import Ended, Program, sealed
from safetensors.numpy import load_file
from training.kill import logged, saved, steps_logged

from jax_mdpo.data.dataset import PairDataset
from jax_mdpo.models.families.llava import family
from jax_mdpo.recipe.configuration import read_settings
from jax_mdpo.recipe.training import batch_list

PAIRS, BATCH, STEPS = 32, 4, 8
TOLERANCE = 1e-5


class Alone(NamedTuple):
    """One process's run; folder holds its config, the data and `process-<n>`, images of which only that process's rows are whole."""

    folder: Path
    config: Path
    run: Path


@pytest.fixture(scope="module")
def alone(checkpoint, tmp_path_factory) -> Alone:
    folder = tmp_path_factory.mktemp("processes")
    pairs = world.write_pairs(folder / "data", PAIRS)
    held_out = world.write_pairs(folder / "held-out", 6)
    config = world.write_config(
        folder / "config.yaml",
        checkpoint,
        pairs,
        data={"path": str(pairs), "length_multiple": 8, "workers": 1},
        eval_data={"path": str(held_out), "length_multiple": 8},
        evaluation={"every": STEPS // 2},
        checkpoint={"every": STEPS // 2},
    )
    break_images_of_other_processes(config, folder)
    ended = program.run("train", config, "mesh.data=1", "mesh.fsdp=1", log=folder / "log")
    assert ended.code == 0, ended.output
    return Alone(folder, config, folder / "run")


def break_images_of_other_processes(config: Path, folder: Path) -> None:
    """Copies of the images for two processes: those of records that the other one is to read are noise of the same size.

    Process 0 is to read the first half of each batch. There is one epoch, so a record has one reader.
    """
    settings = read_settings(config)
    data = PairDataset.open(settings.data, family.processor(Path(settings.model.path)))
    rows = [data.records[place].image.name for plan in batch_list(data, settings) for place in plan.records]
    assert len(set(rows)) == len(rows) == PAIRS
    for process in range(2):
        mine = {name for at, name in enumerate(rows) if (at % BATCH) // (BATCH // 2) == process}
        copy = shutil.copytree(folder / "data", folder / f"process-{process}")
        for image in copy.glob("*.jpg"):
            if image.name not in mine:
                image.write_bytes(b"x" * image.stat().st_size)


@pytest.fixture
def two(alone, tmp_path):
    """Runs the program as two processes that share tmp_path / "run"; each reads its own copy of the images.

    only: which of them gets `arguments`; both where not given.
    """

    def start(stack: ExitStack, *arguments: str, only: int | None = None) -> list[Program]:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            address = f"127.0.0.1:{probe.getsockname()[1]}"
        common = {"JAX_COORDINATOR_ADDRESS": address, "JAX_NUM_PROCESSES": "2"}
        return [
            stack.enter_context(
                Program(
                    *("train", alone.config, "--distributed", f"out={tmp_path / 'run'}", *(arguments if only in (None, process) else ())),
                    f"data.images={alone.folder / f'process-{process}'}",
                    log=tmp_path / f"log-{process}",
                    environment={**common, "JAX_PROCESS_ID": str(process)},
                )
            )
            for process in range(2)
        ]

    return start


def ended(programs: list[Program]) -> list[Ended]:
    return [started.ended() for started in programs]


def test_weights_split_over_two_processes(alone, two, tmp_path):
    with ExitStack() as stack:
        first, second = ended(two(stack, "mesh.data=1", "mesh.fsdp=2"))
    assert (first.code, second.code) == (0, 0), first.output + second.output
    assert_same(tmp_path / "run", alone.run)
    assert_written_once(tmp_path / "run", first, second)


def test_pairs_split_over_two_processes_stopped_and_resumed(alone, two, tmp_path):
    """SIGTERM reaches the process that writes nothing; both stop after the same step and go on together."""
    run, mesh = tmp_path / "run", ("mesh.data=2", "mesh.fsdp=1")
    with ExitStack() as stack:
        programs = two(stack, *mesh)
        programs[0].wait_for(logged(run, 1))
        programs[1].send(signal.SIGTERM)
        programs[0].send(signal.SIGCONT)
        first, second = ended(programs)
    assert (first.code, second.code) == (143, 143), first.output + second.output
    stopped_at = steps_logged(run)[-1]
    assert stopped_at < STEPS and saved(run, stopped_at)() and not (run / "adapter").exists()

    with ExitStack() as stack:
        first, second = ended(two(stack, *mesh, "--resume"))
    assert (first.code, second.code) == (0, 0), first.output + second.output
    assert_same(run, alone.run)
    assert_written_once(run, first, second)


def test_one_that_fails_tells_why_and_keeps_nobody_waiting(two):
    """An orderly exit would wait for minutes at jax's barrier, for a process that waits for this one."""
    with ExitStack() as stack:
        programs = two(stack, "optimizer.learning_rat=1", only=0)
        first, second = ended(programs)
    assert first.code == 2 and "unknown key 'optimizer.learning_rat'" in first.output and "Traceback" not in first.output
    assert second.code not in (0, None)


def assert_same(run: Path, alone: Path) -> None:
    """Every factor within TOLERANCE of the norm of its difference over its norm; every logged loss and reward likewise."""
    found, expected = (load_file(folder / "adapter" / "adapter_model.safetensors") for folder in (run, alone))
    assert found.keys() == expected.keys()
    for name, matrix in expected.items():
        assert np.linalg.norm(matrix) > 0
        assert np.linalg.norm(found[name] - matrix) <= TOLERANCE * np.linalg.norm(matrix), name
    ours, theirs = program.metrics(run), program.metrics(alone)
    assert [line.keys() for line in ours] == [line.keys() for line in theirs]
    assert sum("eval/loss" in line for line in ours) == 2
    for line, other in zip(ours, theirs, strict=True):
        assert line["loss"] == pytest.approx(other["loss"], rel=TOLERANCE)
        assert line.get("eval/loss", 0) == pytest.approx(other.get("eval/loss", 0), rel=TOLERANCE)
        assert line.get("eval/reliance/pairs") == other.get("eval/reliance/pairs")


def assert_written_once(run: Path, first: Ended, second: Ended) -> None:
    assert steps_logged(run) == list(range(1, STEPS + 1))
    counted = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    assert {round(line["pairs_per_second"] * line["step_seconds"]) for line in counted} == {BATCH}
    assert sealed(run)[-1] == STEPS and not list(itertools.chain(run.glob("**/*.tmp*"), run.glob("checkpoints/*tmp*")))
    assert f"step {STEPS}/{STEPS}" in first.output and "step" not in second.output  # one of them reports
