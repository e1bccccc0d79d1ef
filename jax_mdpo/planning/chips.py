"""Chips that a run can be planned for: their memory and speed, as published, and the names that topologies go by.

TPUs: the table of "How to Scale Your Model" (jax-ml.github.io/scaling-book, part 2). `memory` is what the TPU compiler hands out of the
nominal 16, 95 and 32 GB, as its refusals state it; `clock` makes the compiler's cycles seconds. GPUs: NVIDIA's data sheets, dense bf16.
"""

import os
import re
from dataclasses import dataclass
from typing import Literal

from jax_mdpo.core.errors import ConfigError

GIB = 2**30
GPU_USABLE = 0.92  # of the nominal memory: the driver, the CUDA context and libraries take the rest


@dataclass(frozen=True)
class Chip:
    """memory: bytes that a program can have. flops: peak bf16 operations a second. bandwidth: of its memory, bytes a second.

    link: bytes a second that a chip sends along one axis of its network, both ways together. clock: cycles a second, TPUs only.
    """

    name: str
    memory: float
    flops: float | None = None
    bandwidth: float | None = None
    link: float | None = None
    clock: float | None = None


@dataclass(frozen=True)
class Topology:
    """name: as asked for. kind: the chip's part of it ("v5e", "h100"). shape: of a TPU slice, as its compiler names it ("v5e:4x4")."""

    name: str
    platform: Literal["tpu", "gpu", "cpu"]
    kind: str
    chip: Chip
    devices: int
    shape: str = ""


_V5E = Chip("TPU v5e", 15.75 * GIB, 1.97e14, 8.1e11, 9e10, 1.5e9)
_V5P = Chip("TPU v5p", 95.74 * GIB, 4.59e14, 2.8e12, 1.8e11, 1.75e9)
_V6E = Chip("TPU v6e", 31.25 * GIB, 9.2e14, 1.6e12, 1.8e11, 1.75e9)
_FLAT = {1: "1x1", 4: "2x2", 8: "2x4", 16: "4x4", 32: "4x8", 64: "8x8", 128: "8x16", 256: "16x16"}
_DEEP = {1: "1x1x1", 4: "2x2x1", 8: "2x2x2", 16: "2x2x4", 32: "2x4x4", 64: "4x4x4", 128: "4x4x8", 256: "4x8x8", 512: "8x8x8"}
_TPUS = {"v5e": (_V5E, _FLAT, 1), "v6e": (_V6E, _FLAT, 1), "v5p": (_V5P, _DEEP, 2)}  # chip, slices by chips, what a name counts of a chip
_GPUS = {
    "h100": Chip("NVIDIA H100 SXM", 80e9 * GPU_USABLE, 9.89e14, 3.35e12, 9e11),
    "h200": Chip("NVIDIA H200 SXM", 141e9 * GPU_USABLE, 9.89e14, 4.8e12, 9e11),
    "a100-40": Chip("NVIDIA A100 40GB", 40e9 * GPU_USABLE, 3.12e14, 1.555e12, 6e11),
    "a100-80": Chip("NVIDIA A100 80GB", 80e9 * GPU_USABLE, 3.12e14, 2.039e12, 6e11),
    "l4": Chip("NVIDIA L4", 24e9 * GPU_USABLE, 1.21e14, 3e11, 6.4e10),
}


def topology(name: str) -> Topology:
    """The topology of that name. v5e-16 and v6e-8 count chips; v5p-8 counts TensorCores, two a chip, as Cloud TPU's names do.

    A GPU's name takes a number behind an x ("h100x8"). Raises ConfigError, with the names there are, for any other.
    """
    slices = {f"{kind}-{each * chips}": (kind, chips) for kind, (_, shapes, each) in _TPUS.items() for chips in shapes}
    if name in slices:
        kind, chips = slices[name]
        chip, shapes, _ = _TPUS[kind]
        return Topology(name, "tpu", kind, chip, chips, f"{kind}:{shapes[chips]}")
    if name == "cpu":
        return Topology(name, "cpu", name, Chip("this machine's CPU", float(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"))), 1)
    gpu = re.fullmatch(rf"({'|'.join(_GPUS)})(?:x(\d+))?", name)
    if gpu:
        return Topology(name, "gpu", gpu[1], _GPUS[gpu[1]], int(gpu[2] or 1))
    raise ConfigError(
        f"the topology {name!r} is not known",
        expected=f"v5e-N or v6e-N with N of {', '.join(map(str, _FLAT))}; v5p-N with N of {', '.join(str(2 * n) for n in _DEEP)}; "
        f"{', '.join(_GPUS)}, or several as h100x8; cpu",
    )


def larger(current: Topology) -> list[Topology]:
    """The slices of the same chip with more chips, or twice, four and eight times as many GPUs."""
    if current.platform == "cpu":
        return []
    if current.platform == "gpu":
        return [topology(f"{current.kind}x{current.devices * times}") for times in (2, 4, 8)]
    _, shapes, each = _TPUS[current.kind]
    return [topology(f"{current.kind}-{each * chips}") for chips in shapes if chips > current.devices]
