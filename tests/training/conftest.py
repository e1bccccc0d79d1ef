"""The toy trainer's step is compiled once for all tests of the loop."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import pytest
from training import toy

from jax_mdpo.training.loop import Job, fit
from jax_mdpo.training.run_directory import RunDirectory, claimed
from jax_mdpo.training.settings import CheckpointSettings, LogSettings, LoopSettings
from jax_mdpo.training.state import TrainState


@dataclass(frozen=True)
class Toy:
    """Trains the toy problem into a folder; keyword arguments replace parts of the job."""

    step: Any
    initial: TrainState

    def state(self) -> TrainState:
        return jax.tree.map(jnp.copy, self.initial)

    def train(self, out: Path, *, steps: int = 7, resume: bool = False, settings: LoopSettings | None = None, **job: Any) -> TrainState:
        parts = {"step": self.step, "batches": toy.batches, "put": jax.device_put, **job}
        every = LoopSettings(checkpoint=CheckpointSettings(every=3), logging=LogSettings(console_every=1000))
        with claimed(out, {"seed": 0}, resume=resume) as run:
            return fit(Job(steps=steps, **parts), self.state(), run, settings or every)


@pytest.fixture(scope="session")
def toy_trainer() -> Toy:
    return Toy(*toy.make_step())


@pytest.fixture
def run_directory(tmp_path) -> RunDirectory:
    return RunDirectory(tmp_path / "run")
