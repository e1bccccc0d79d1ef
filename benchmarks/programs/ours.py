"""jax_mdpo's training step.

Reads: folder (see harness/world.py), dtype, objective, batches, steps, warm_up, feed, cached, settings.
settings: laid over the run's settings, so a variant of the program is what a user would write in a configuration.
cached: the reference's log-probs are computed beforehand and read; what that takes for a pair is measured, too.
feed: "pipeline" reads, decodes and collates as in training; "ready" repeats batches that were made beforehand, so that the step alone
is timed. Either way batches are sent ahead as in training, and waiting for them counts.
"""

import itertools
import statistics
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import jax

from benchmarks.harness.objectives import values_of
from benchmarks.harness.protocol import process_peak, reset_process_peak, serve, time_steps, try_batches, versions
from benchmarks.harness.world import ADAPTER, IMAGES, MODEL, PAIRS
from jax_mdpo.core.batch import HostBatch
from jax_mdpo.data.dataset import PairDataset
from jax_mdpo.models.actors import make_actors
from jax_mdpo.models.checkpoint import Checkpoint
from jax_mdpo.recipe.configuration import settings_of
from jax_mdpo.recipe.loading import load_base, mesh_of
from jax_mdpo.recipe.reference import Reference
from jax_mdpo.recipe.settings import RunSettings
from jax_mdpo.recipe.training import Prepared, prepare
from jax_mdpo.training.prefetch import prefetched

READY = 4  # distinct batches that a ready feed repeats
MADE = 6  # batches of a cache whose making is timed; the first is left out
FIRST = {"loss": "loss", "chosen": "logps/chosen", "rejected": "logps/rejected", "gradient": "grad_norm"}  # what programs must agree on


def run_values(spec: Mapping[str, Any], pairs: int) -> dict[str, Any]:
    """The run that `spec` asks for, at a batch of `pairs`, as a configuration's values."""
    folder = Path(spec["folder"])
    base = {
        "model": {"path": str(folder / MODEL), "dtype": spec["dtype"]},
        "init_adapter": str(folder / ADAPTER),
        "data": {"path": str(folder / PAIRS), "images": str(folder / IMAGES), "length_multiple": 1},
        "batch": {"pairs": pairs},
        "steps": spec["warm_up"] + spec["steps"],
        "out": str(folder / "run"),
        **values_of(spec["objective"]),
    }
    if spec.get("cached"):
        fixed = {"negatives": "fixed"} if {"hard_negative", "noise"} & base.keys() else {}
        base |= {"reference": {"cache": str(folder / "reference" / spec["objective"])}, **fixed}
    return merged(base, spec.get("settings", {}))


def merged(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """`base` with the values of `over`, mappings inside merged likewise."""
    inner = {key: merged(base[key], value) if isinstance(base.get(key), Mapping) else value for key, value in over.items()}
    return {**base, **inner}


def measure(spec: Mapping[str, Any], pairs: int, checkpoint: Checkpoint) -> dict[str, Any]:
    settings = settings_of(run_values(spec, pairs))
    prepared = prepare(settings, checkpoint)
    feed = prefetched(_hosts(prepared, spec["feed"]), prepared.job.put)
    state, waits, firsts = prepared.state, [], []

    def step() -> None:
        nonlocal state
        began = time.perf_counter()
        fed = next(feed)
        waits.append(time.perf_counter() - began)
        state, metrics = prepared.job.step(state, fed.device)
        values = {name: float(metrics[key]) for name, key in FIRST.items() if key in metrics}  # waits for the step
        if not firsts:
            firsts.append({"ids": list(fed.host.ids), **values})

    warm_up = time_steps(step, spec["warm_up"])
    reset_process_peak()
    seconds = time_steps(step, spec["steps"])
    feed.close()
    return {
        "seconds": seconds,
        "waits": waits[spec["warm_up"] :],
        "first_seconds": warm_up[0],
        "peak_bytes": _device_peak() or process_peak(),
        "once_seconds_a_pair": _making(settings, checkpoint) if spec.get("cached") else 0.0,
        "first": firsts[0],
        "trained_parameters": sum(leaf.size for leaf in jax.tree.leaves(state.lora)),
        "weight_bytes": sum(leaf.nbytes for leaf in jax.tree.leaves(checkpoint.base)),
    }


def _making(settings: RunSettings, checkpoint: Checkpoint) -> float:
    """Seconds a pair of computing the reference's log-probs, images read and encoded, once it is compiled."""
    reference = Reference(settings, checkpoint, None, *make_actors(checkpoint))
    data = PairDataset.open(settings.data, checkpoint.processor)
    plans = data.ordered_batches(batch_size=settings.batch.pairs)[:MADE]
    made = reference.evaluated(data, plans)
    return statistics.median(time_steps(lambda: next(made), len(plans))[1:]) / settings.batch.pairs


def _hosts(prepared: Prepared, feed: str) -> Iterator[HostBatch]:
    batches = prepared.job.batches(0)
    return batches if feed == "pipeline" else itertools.cycle(list(itertools.islice(batches, READY)))


def _device_peak() -> int | None:
    """Bytes on an accelerator at the worst moment of the process; None on a CPU, which does not count."""
    stats = jax.devices()[0].memory_stats()
    return stats["peak_bytes_in_use"] if stats else None


def _exhausted(error: Exception) -> bool:
    return isinstance(error, jax.errors.JaxRuntimeError) and "RESOURCE_EXHAUSTED" in str(error)


def base_of(spec: Mapping[str, Any]) -> Checkpoint:
    """The model, loaded once for all batches."""
    settings = settings_of(run_values(spec, max(spec["batches"])))
    return load_base(settings.model, mesh_of(settings.mesh))


def main(spec: dict[str, Any]) -> dict[str, Any]:
    checkpoint = base_of(spec)
    return {
        "device": jax.devices()[0].device_kind,
        "platform": jax.default_backend(),
        "versions": versions("jax", "jaxlib", "flax", "jax-cuda13-plugin", "jax-mdpo"),
        "runs": try_batches(spec["batches"], lambda pairs: measure(spec, pairs, checkpoint), _exhausted),
    }


if __name__ == "__main__":
    serve(main)
