"""Where the time of mDPO's online step goes: the step cut into parts that are compiled and timed alone.

    python -m benchmarks.profile_step [--size tiny|100m|7b] [--dtype bfloat16] [--trace DIR] [--keep]

Each part is the difference of two calls that hold it and one another, so what a compiler overlaps or spares between them shows up in the
wrong place, and small parts are known no better than the noise. --trace also writes a trace of a few whole steps (for Perfetto or
TensorBoard), which on a GPU says more.
"""

import statistics
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
from rich.console import Console
from rich.table import Table

from benchmarks.harness.command import PAIRS, parser, scratch
from benchmarks.harness.machine import warn_if_busy
from benchmarks.harness.protocol import time_steps
from benchmarks.harness.report import write
from benchmarks.harness.sizes import SIZES
from benchmarks.harness.world import prepare_world
from benchmarks.programs.ours import run_values
from jax_mdpo.core.batch import Batch
from jax_mdpo.models.actors import Actors, Frozen, make_actors
from jax_mdpo.models.checkpoint import Checkpoint
from jax_mdpo.models.images import encode
from jax_mdpo.models.plan import Plan
from jax_mdpo.models.views import evaluate
from jax_mdpo.recipe.configuration import settings_of
from jax_mdpo.recipe.parts import make_parts
from jax_mdpo.recipe.settings import RunSettings
from jax_mdpo.recipe.training import prepare
from jax_mdpo.training.state import TrainState, initial_state
from jax_mdpo.training.step import Loss

TRACED = 3  # steps


@dataclass
class Profiled:
    """A run's step and what it is made of, on one batch."""

    checkpoint: Checkpoint
    actors: Actors
    frozen: Frozen
    loss: Loss
    step: Callable[[Frozen, TrainState, Batch], tuple[TrainState, Any]]
    state: TrainState
    batch: Batch

    @classmethod
    def of(cls, settings: RunSettings) -> "Profiled":
        prepared = prepare(settings)
        batch = prepared.job.put(next(iter(prepared.job.batches(0))).batch)
        actors, frozen, lora = make_actors(prepared.checkpoint, prepared.adapter)
        made = make_parts(settings, actors, prepared.adapter, steps=prepared.job.steps)
        state = initial_state(lora, made.optimizer, settings.seed)
        return cls(prepared.checkpoint, actors, frozen, made.loss, made.step, state, batch)

    def calls(self) -> dict[str, Callable[[], Any]]:
        """Calls by name, the next holding the one before it. The last one is the whole step."""
        whole = self.loss.plan()
        forwards, readings = (tuple(one for one in part if one.model == "reference") for part in (whole.forwards, whole.readings))
        reference = Plan(whole.images, forwards, readings)

        def tower(lora: Any, frozen: Frozen, batch: Batch) -> Any:
            return encode(self.actors.select(frozen, lora)("reference", False), batch, whole.images, self.loss.corruptions)

        def read(lora: Any, frozen: Frozen, batch: Batch) -> Any:
            select = self.actors.select(frozen, lora)
            return evaluate(reference, batch, select, shared_tower=self.actors.shared_tower, chunk=self.loss.chunk)

        def loss(lora: Any, frozen: Frozen, batch: Batch) -> Any:
            return self.loss(lora, frozen, batch, jnp.ones(()))[0]

        functions = {"tower": tower, "reference": read, "policy": loss, "backward": jax.value_and_grad(loss)}
        compiled = {name: jax.jit(function) for name, function in functions.items()}

        def advance() -> Any:
            self.state, metrics = self.step(self.frozen, self.state, self.batch)
            return metrics

        partial = {name: (lambda one=one: one(self.state.lora, self.frozen, self.batch)) for name, one in compiled.items()}
        return {**partial, "optimiser": advance}

    def run(self, call: Callable[[], Any]) -> None:
        """The call, in the checkpoint's scope, until its work is done."""
        with self.checkpoint.scope():
            jax.block_until_ready(call())


PARTS = {
    "tower": "images to features",
    "reference": "the reference's decoder and head",
    "policy": "the policy's decoder and head, forward",
    "backward": "the way back",
    "optimiser": "clipping, AdamW, metrics",
}


def differences(totals: Mapping[str, float]) -> dict[str, float]:
    """Each total less the one before it."""
    before = 0.0
    made = {}
    for name, total in totals.items():
        made[name], before = total - before, total
    return made


def main() -> None:
    given = parser(__doc__)
    given.add_argument("--trace", type=Path, help="a folder for a profiler trace of whole steps")
    arguments = given.parse_args()
    warn_if_busy()
    size = SIZES[arguments.size]
    pairs = (arguments.batches or size.batches)[0]
    with scratch(arguments.scratch) as folder:
        world = folder / f"{size.name}-{arguments.dtype}"
        prepare_world(world, size, arguments.dtype, PAIRS)
        spec = {"folder": str(world), "dtype": arguments.dtype, "objective": "mdpo", "warm_up": 1, "steps": 1}
        profiled = Profiled.of(settings_of(run_values(spec, pairs)))
        seconds = {}
        for name, call in profiled.calls().items():
            profiled.run(call)  # compiles
            seconds[name] = time_steps(lambda call=call: profiled.run(call), arguments.steps or size.steps)
            print(f"up to {name}: {1000 * statistics.median(seconds[name]):.1f} ms", file=sys.stderr)
        if arguments.trace is not None:
            with jax.profiler.trace(str(arguments.trace)):
                time_steps(lambda: profiled.run(profiled.calls()["optimiser"]), TRACED)
    medians = {name: statistics.median(found) for name, found in seconds.items()}
    device = jax.devices()[0].device_kind
    shown = Table(title=f"mDPO's step, {pairs} pairs, {size.name}, {arguments.dtype}, {device}", box=None, title_justify="left")
    for heading in ("part", "ms", "of the step"):
        shown.add_column(heading, justify="left" if heading == "part" else "right")
    for name, part in differences(medians).items():
        shown.add_row(PARTS[name], f"{1000 * part:.1f}", f"{part / medians['optimiser']:.0%}")
    Console().print(shown)
    content = {"size": size.facts(), "dtype": arguments.dtype, "batch": pairs, "parts": differences(medians), "seconds": seconds}
    write(f"profile-{size.name}", device, content, out=arguments.out, keep=arguments.keep)


if __name__ == "__main__":
    main()
