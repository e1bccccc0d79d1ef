"""A run's memory, work and time before it runs. TPUs and GPUs are asked through their compilers, all else by arithmetic on shapes."""

import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jax_mdpo.core.errors import ConfigError
from jax_mdpo.core.views import CHOSEN, NONE
from jax_mdpo.data.batches import Bucket
from jax_mdpo.models.plan import plan as passes_of
from jax_mdpo.planning.arithmetic import Row, least_work
from jax_mdpo.planning.chips import Topology, topology
from jax_mdpo.planning.compiled import compiled
from jax_mdpo.planning.forecast import Forecast, Memory, Time
from jax_mdpo.planning.liveness import alive_bytes
from jax_mdpo.planning.program import matrix_work
from jax_mdpo.planning.topologies import gpu_devices, host_devices, tpu_devices
from jax_mdpo.recipe.abstract import AbstractRun, abstract_run
from jax_mdpo.recipe.changes import changes
from jax_mdpo.recipe.described import Description, describe
from jax_mdpo.recipe.lengths import RowLengths, row_lengths
from jax_mdpo.recipe.settings import RunSettings
from jax_mdpo.sharding.logical import make_mesh
from jax_mdpo.sharding.placing import batch_ways, require_divisible

GPU_SHARE = 0.5  # of the peak: what large matrix products in bf16 reach in a step


def plan(settings: RunSettings, on: str, *, prefix: int | None = None, response: int | None = None) -> Forecast:
    """What a run of these settings takes on the topology named `on` (planning/chips.py).

    prefix, response: tokens of prompt and image, and of a response; by default the data's, where it is here, else an assumption.
    Raises UserError where the TPU compiler is needed and not installed, ConfigError where the batch or the mesh does not suit the chips.
    """
    model = describe(settings.model)
    lengths = row_lengths(settings, model, prefix, response)
    subject = _subject(settings, topology(on), model, lengths)
    forecast = _forecast(subject)
    return forecast if forecast.fits else replace(forecast, change=_what_fits(subject, forecast))


@dataclass(frozen=True)
class Subject:
    """What is planned: a run in shapes, how long its rows are, and where it is to run. compiles: whether its compiler is here."""

    settings: RunSettings
    place: Topology
    compiles: bool
    model: Description
    lengths: RowLengths
    run: AbstractRun

    @cached_property
    def traced(self) -> Any:
        """Its step over the longest rows."""
        return self.run.trace(self.lengths.largest)

    @property
    def chips(self) -> int:
        return self.place.devices

    @cached_property
    def arguments(self) -> dict[str, float]:
        """Bytes on one chip of what the step is given."""
        run = self.run
        return {
            "weights": _held([*jax.tree.leaves(run.frozen.base)]),
            "adapter": _held(jax.tree.leaves((run.frozen._replace(base=None), run.state))),
            "batch": _held(jax.tree.leaves(run.batch(self.lengths.largest))),
        }

    @cached_property
    def temporaries(self) -> float:
        """Bytes on one chip of what the step makes, by arithmetic: rows, heads and factors are split evenly over the chips."""
        return alive_bytes(self.traced.jaxpr) / self.chips


def _subject(settings: RunSettings, place: Topology, model: Description, lengths: RowLengths) -> Subject:
    devices, compiles = _devices(place)
    settings = _traceable(settings, place, compiles)
    mesh_settings = settings.mesh
    try:
        mesh = make_mesh(mesh_settings.data, mesh_settings.fsdp, mesh_settings.tensor, devices=devices)
    except ValueError as error:
        raise ConfigError(str(error), fix="change mesh.data, mesh.fsdp or mesh.tensor") from None
    rows = settings.rows(settings.data) // settings.batch.accumulation
    require_divisible(batch_ways(mesh), rows, "batch.pairs / (data.pack × batch.accumulation)")
    return Subject(settings, place, compiles, model, lengths, abstract_run(settings, model, mesh))


def _devices(place: Topology) -> tuple[Sequence[jax.Device], bool]:
    """Devices to trace the step for, and whether their compiler is here; CPU devices stand for GPUs where it is not."""
    if place.platform == "tpu":
        return tpu_devices(place), True
    found = gpu_devices(place) if place.platform == "gpu" else None
    return (host_devices(place.devices), False) if found is None else (found, True)


def _traceable(settings: RunSettings, place: Topology, compiles: bool) -> RunSettings:
    """With attention in plain XLA where the place's kernel cannot be traced: for CPU devices in its stead, and, packed, without a Hopper
    GPU in this machine, which jax looks for when cuDNN's heads are as large as packing makes them.
    """
    if compiles and (place.platform != "gpu" or settings.data.pack == 1):
        return settings
    return replace(settings, model=replace(settings.model, attention="xla"))


def _held(leaves: Iterable[jax.ShapeDtypeStruct]) -> float:
    """Bytes on one chip."""
    return float(sum(np.prod(leaf.sharding.shard_shape(leaf.shape)) * jnp.dtype(leaf.dtype).itemsize for leaf in leaves))


def _forecast(subject: Subject) -> Forecast:
    settings, chip, bucket = subject.settings, subject.place.chip, subject.lengths.largest
    work = matrix_work(subject.traced.jaxpr)
    shares = {one: _work_of(subject, one) / work.total() for one in subject.lengths.shares}
    mean = sum(share * shares[one] for one, share in subject.lengths.shares.items())
    arguments = subject.arguments
    if subject.compiles:
        found = compiled(subject.traced, subject.place.platform)
        source = f"of the {subject.place.platform.upper()} compiler" + ("" if found.module else ", which refuses it")
        memory = Memory(**arguments, peak=found.peak, source=source)
        network, times = found.network(), found.times(chip, kernels=work["kernels"] / subject.chips)
    else:
        peak = sum(arguments.values()) + subject.temporaries
        memory = Memory(**arguments, peak=peak, source="by shapes: what the backward pass keeps, and the largest that exists beside it")
        network, times = {}, _time_by_rate(subject, work.total() / subject.chips)
    return Forecast(
        topology=subject.place,
        prefix=bucket.prefix,
        response=bucket.response,
        pairs=settings.batch.pairs,
        at_a_time=settings.batch.pairs / settings.batch.accumulation / batch_ways(subject.run.checkpoint.mesh),
        memory=memory,
        executed=work.total() * mean / settings.batch.pairs,
        least=_least(subject),
        network=network,
        times=tuple(replace(part, seconds=part.seconds * mean) for part in times),
        total_pairs=subject.lengths.pairs,
        notes=_notes(subject, mean),
    )


def _work_of(subject: Subject, bucket: Bucket) -> int:
    traced = subject.traced if bucket == subject.lengths.largest else subject.run.trace(bucket)
    return matrix_work(traced.jaxpr).total()


def _notes(subject: Subject, mean: float) -> tuple[str, ...]:
    found = [f"lengths {subject.lengths.source}"]
    if subject.settings.model.attention == "xla":
        found.append("attention counts as XLA computes it, with its scores in memory: a kernel that keeps none needs less")
    if subject.place.platform == "gpu" and not subject.compiles:
        found.append("by shapes, since jax's CUDA packages are not here: with them the GPU's own compiler is asked (docs/planning.md)")
    if len(subject.lengths.shares) > 1:
        found.append(f"work and time are means over the batches' lengths: {mean:.0%} of the longest's, by matrix products")
    return tuple(found)


def _least(subject: Subject) -> int:
    """The least work of a mean pair, from what the objectives need of the policy. (A hidden image counts as if it were seen.)"""
    lengths, config = subject.lengths, subject.model.config
    passes = passes_of(subject.settings.needs)
    of = {CHOSEN: lengths.chosen}
    rows: dict[bool, list[Row]] = {True: [], False: []}  # by whether a gradient flows
    for forward in passes.forwards:
        if forward.model == "policy":
            row = Row(round(lengths.prefix), tuple(round(of.get(response, lengths.rejected)) for response in forward.responses))
            rows[forward.gradient] += [row] * len(forward.images)
    lora = sum(leaf.size for leaf in jax.tree.leaves(subject.run.state.lora))
    images = len([image for image in passes.images if image != NONE])
    return least_work(subject.model.family.sizes(config), rows[True], lora=lora, images=images, read=rows[False])


def _time_by_rate(subject: Subject, work: float) -> tuple[Time, ...]:
    chip = subject.place.chip
    if chip.flops is not None:
        rate, source = GPU_SHARE * chip.flops, f"{GPU_SHARE:.0%} of the bf16 peak of {chip.flops / 1e12:g} TFLOP/s, an assumption"
    else:
        rate = _measured_rate(subject.model.dtype)
        source = f"{rate / 1e9:.0f} GFLOP/s, measured here on one matrix product in {subject.model.dtype}"
    return (Time("matrix products", work / rate, source),)


def _measured_rate(dtype: np.dtype, size: int = 512, runs: int = 5) -> float:
    """Operations a second of this machine's matrix products."""
    matrix = jnp.ones((size, size), dtype)
    product = jax.jit(jnp.matmul)
    product(matrix, matrix).block_until_ready()
    start = time.perf_counter()
    for _ in range(runs):
        product(matrix, matrix).block_until_ready()
    return 2 * size**3 * runs / (time.perf_counter() - start)


def _what_fits(subject: Subject, forecast: Forecast) -> str | None:
    """The first change with which it fits: arithmetic chooses what is worth trying, the topology's own measure decides."""
    made = max(forecast.memory.temporaries, 1.0) / max(subject.temporaries, 1.0)
    for words, settings, place in changes(subject.settings, subject.place):
        try:
            changed = _subject(settings, place, subject.model, subject.lengths)
        except ConfigError:  # a batch that does not split so
            continue
        room = place.chip.memory - sum(changed.arguments.values())
        if room > 0 and made * changed.temporaries < room and _forecast(changed).fits:
            return words
    return None
