"""A trainer in miniature over the real loop: noisy linear regression with Adam, its noise drawn from the state's key.

    python toy.py OUT [--resume] [--steps N] [--every N] [--pause SECONDS] [--learning-rate X] [--process I --coordinator ADDRESS]

The last state is written to OUT/final.npz, in place of an adapter.
"""

import argparse
import sys
import time
from collections.abc import Iterator
from pathlib import Path

if __name__ == "__main__":
    sys.modules["torch"] = None  # type: ignore[assignment]  # tensorboardX imports it where it can: two seconds that no run needs

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax.sharding import NamedSharding, PartitionSpec

from jax_mdpo.core.batch import Batch, Branch, HostBatch, Prefix
from jax_mdpo.training.loop import HeldOut, Job, fit
from jax_mdpo.training.run_directory import claimed
from jax_mdpo.training.settings import BestMetric, CheckpointSettings, EvaluationSettings, LogSettings, LoopSettings
from jax_mdpo.training.signals import Interrupted
from jax_mdpo.training.state import TrainState

PAIRS, WIDTH = 4, 257


def host_batch(number: int, valid: tuple[bool, ...] = (True,) * PAIRS, skipped: tuple[tuple[str, str], ...] = ()) -> HostBatch:
    """Batch `number`: 3 prefix tokens and 2 + 1 branch tokens a valid row, behind which each array is padded by one."""
    rows = np.array(valid)
    ids = np.random.default_rng(number).integers(1, 100, (PAIRS, 4))

    def branch(length: int) -> Branch:
        real = rows[:, None] & (np.arange(length + 1) < length)
        return Branch(ids[:, : length + 1], np.full_like(ids[:, : length + 1], -1), real.astype(int), ids[:, : length + 1], real)

    prefix = Prefix(ids, np.full_like(ids, -1), (rows[:, None] & (np.arange(4) < 3)).astype(int))
    batch = Batch({}, prefix, {"chosen": branch(2), "rejected": branch(1)}, rows[:, None])
    return HostBatch(batch, tuple(range(number * PAIRS, (number + 1) * PAIRS)), skipped)


def batches(start: int) -> Iterator[HostBatch]:
    """An epoch is 5 batches. Its third misses two records, its fourth all of them."""
    for number in range(start, sys.maxsize):
        place = number % 5
        if place == 2:
            yield host_batch(place, (True, True, False, False), (("b", "no image"), ("ä", "über-long")))
        elif place == 3:
            yield host_batch(place, (False,) * PAIRS, tuple((f"c{row}", "empty") for row in range(PAIRS)))
        else:
            yield host_batch(place)


def make_step(learning_rate: float = 0.1, nan_at: int | None = None, pairs: int = PAIRS):
    """(step function, initial state). The step donates its state, as the real one does."""
    optimizer = optax.adam(optax.cosine_decay_schedule(learning_rate, 100))

    def loss(lora: dict, batch: Batch, key: jax.Array) -> jax.Array:
        x = jnp.sin(batch.prefix.ids[:, 0, None] * jnp.arange(WIDTH)) + 0.1 * jax.random.normal(key, (pairs, WIDTH))
        residual = jnp.tanh(x @ lora["a"]) @ lora["b"] - 1.0
        return jnp.sum(jnp.where(batch.valid[:, 0], residual**2, 0.0)) / jnp.maximum(batch.valid.sum(), 1)

    def step(state: TrainState, batch: Batch) -> tuple[TrainState, dict[str, jax.Array]]:
        key = jax.random.fold_in(jax.random.wrap_key_data(state.key), state.step)
        value, gradient = jax.value_and_grad(loss)(state.lora, batch, key)
        updates, opt_state = optimizer.update(gradient, state.opt_state)
        value = jnp.where(state.step + 1 == (nan_at or 0), jnp.nan, value)
        metrics = {"loss": value, "grad_norm": optax.tree.norm(gradient), "rewards/margin": -value}
        return TrainState(state.step + 1, optax.apply_updates(state.lora, updates), opt_state, state.key), metrics

    lora = {"a": jax.random.normal(jax.random.key(1), (WIDTH, 64)) / 16, "b": jnp.zeros(64)}
    state = TrainState(jnp.zeros((), jnp.int32), lora, optimizer.init(lora), jax.random.key_data(jax.random.key(7)))
    return jax.jit(step, donate_argnums=0), state


def evaluate(state: TrainState) -> HeldOut:
    """A held-out figure that falls as B grows."""
    return HeldOut({"loss": float(jnp.mean((state.lora["b"] - 0.1) ** 2))})


def main() -> int:
    """Trains as the command line says; returns the exit code."""
    parser = argparse.ArgumentParser()
    parser.add_argument("out", type=Path)
    parser.add_argument("--resume", action="store_true")
    parser.add_argument("--steps", type=int, default=23)
    parser.add_argument("--every", type=int, default=4)
    parser.add_argument("--pause", type=float, default=0.0)
    parser.add_argument("--learning-rate", type=float, default=0.1)
    parser.add_argument("--process", type=int, default=0, help="with --coordinator: which of two this is")
    parser.add_argument("--coordinator")
    options = parser.parse_args()
    if options.coordinator:
        jax.distributed.initialize(options.coordinator, num_processes=2, process_id=options.process)
    mesh = jax.make_mesh((jax.device_count(),), ("data",), axis_types=(jax.sharding.AxisType.Auto,))
    rows, everywhere = (NamedSharding(mesh, PartitionSpec(*axes)) for axes in (("data",), ()))
    step, state = make_step(options.learning_rate, pairs=PAIRS * jax.process_count())
    state = jax.tree.map(lambda leaf: jax.device_put(np.asarray(leaf), everywhere), state)

    def put(batch: Batch) -> Batch:
        return jax.tree.map(lambda leaf: jax.make_array_from_process_local_data(rows, leaf), batch)

    def slow_batches(start: int) -> Iterator[HostBatch]:
        for batch in batches(start):
            time.sleep(options.pause)
            yield batch._replace(skipped=tuple((f"{name}@{jax.process_index()}", reason) for name, reason in batch.skipped))

    settings = LoopSettings(
        checkpoint=CheckpointSettings(every=options.every, best=BestMetric(metric="eval/loss", mode="min")),
        evaluation=EvaluationSettings(every=options.every),
        logging=LogSettings(console_every=5),
    )
    job = Job(step=step, batches=slow_batches, put=put, steps=options.steps, evaluate=evaluate)
    config = {"optimizer": {"learning_rate": options.learning_rate}, "checkpoint": {"every": options.every}}
    try:
        with claimed(options.out, config, resume=options.resume) as run:
            state = fit(job, state, run, settings, identity={"data": "toy"})
    except Interrupted as stopped:
        print(stopped)
        return stopped.exit_code
    if jax.process_index() == 0:
        np.savez(options.out / "final.npz", *map(np.asarray, jax.tree.leaves(state)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
