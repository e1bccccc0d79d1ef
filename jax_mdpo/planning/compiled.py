"""What a TPU's or GPU's compiler makes of a step: its memory, and a time put together from the program that it wrote."""

import math
import re
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import jax

from jax_mdpo.planning.chips import GIB, Chip
from jax_mdpo.planning.forecast import Time
from jax_mdpo.planning.hlo import Module, collectives, cycles, parse
from jax_mdpo.planning.roofline import costs

KERNEL_SHARE = 0.4  # of the chip's peak, for kernels that the compiler has no estimate of; flash attention reaches about that
PRODUCT_SHARE = 0.7  # of a GPU's peak, for large bf16 products: an assumption, as is the next
MEMORY_SHARE = 0.85  # of a GPU's memory bandwidth, for passes over large arrays
# Without a GPU no kernel can be tuned by trying, and what its Triton products default to, the compiler refuses in some versions.
GPU_OPTIONS = {"xla_gpu_enable_triton_gemm": False}
_UNITS = {"K": 2**10, "M": 2**20, "G": GIB, "T": 2**40}
# "… the total memory required for HLO temporaries (40.26G) exceeds available HBM (15.75G)": arguments and results are in that total.
# Other stages of the compiler say "Used 40.26G of 15.75G hbm".
_REFUSAL = re.compile(
    r"\((?P<total>[\d.]+)(?P<unit>[KMGT])\) exceeds available HBM|Used (?P<used>[\d.]+)(?P<of>[KMGT]) of [\d.]+[KMGT] hbm", re.I
)


@dataclass(frozen=True)
class Compiled:
    """peak: bytes a chip needs. module: the program, where the compiler did not refuse it."""

    peak: float
    module: Module | None

    def network(self) -> dict[str, tuple[int, int]]:
        """By kind of transfer: how many run in a step, and how many bytes each chip sends."""
        counts: Counter[str] = Counter()
        sent: Counter[str] = Counter()
        for one in collectives(self.module) if self.module else ():
            counts[one.kind] += one.times
            sent[one.kind] += one.times * one.sent
        return {kind: (counts[kind], sent[kind]) for kind in counts}

    def times(self, chip: Chip, *, kernels: float) -> tuple[Time, ...]:
        """kernels: operations of a step within kernels, on one chip. Empty where there is no program, or no rate to time it by."""
        if self.module is None or not (chip.link and chip.flops):
            return ()
        inside = kernels / (KERNEL_SHARE * chip.flops)
        working = [
            *self._working(chip),
            Time("kernels", inside, f"{kernels / 1e12:.1f} TFLOP a chip at {KERNEL_SHARE:.0%} of {_peak(chip)}"),
        ]
        waiting = self._waiting(chip.link, sum(part.seconds for part in working))
        return tuple(part for part in (*working, waiting) if part.seconds)

    def _working(self, chip: Chip) -> list[Time]:
        """All but kernels and the network."""
        assert self.module is not None and chip.flops
        if chip.clock:
            source = f"the compiler's cycles per operation × turns of its loops, at {chip.clock / 1e9:g} GHz"
            return [Time("operations", cycles(self.module) / chip.clock, source)]
        assert chip.bandwidth
        rate, flow = PRODUCT_SHARE * chip.flops, MEMORY_SHARE * chip.bandwidth
        products = passes = done = moved = 0.0
        for cost in costs(self.module):
            if cost.kernel:
                continue
            if cost.operations:
                products += cost.times * max(cost.operations / rate, cost.moved / flow)
                done += cost.times * cost.operations
            else:
                passes += cost.times * cost.moved / flow
                moved += cost.times * cost.moved
        return [
            Time(
                "matrix products",
                products,
                f"{done / 1e12:.1f} TFLOP at {PRODUCT_SHARE:.0%} of {_peak(chip)}, the thin ones by what they read",
            ),
            Time("passes over memory", passes, f"{moved / 1e9:.0f} GB at {MEMORY_SHARE:.0%} of {chip.bandwidth / 1e12:g} TB/s"),
        ]

    def _waiting(self, link: float, working: float) -> Time:
        """For the network, beside so many seconds of work."""
        assert self.module is not None
        behind, alone = (sum(one.times * one.sent for one in collectives(self.module) if one.hidden is hidden) for hidden in (True, False))
        rate = f"at {link / 1e9:g} GB/s; {behind / 1e9:.1f} GB pass behind the work as far as it lasts, {alone / 1e9:.1f} GB do not"
        return Time("waiting for the network", alone / link + max(behind / link - working, 0.0), rate)


def _peak(chip: Chip) -> str:
    return f"{(chip.flops or 0) / 1e12:g} TFLOP/s"


def compiled(traced: Any, platform: str) -> Compiled:
    """Compiles a traced step. A program that does not fit gives the size that a TPU's compiler refused it for; a GPU's refuses none."""
    try:
        with _uncached():
            program = traced.lower().compile(compiler_options=GPU_OPTIONS if platform == "gpu" else None)
    except jax.errors.JaxRuntimeError as error:
        needed = refused_size(str(error))
        if needed is None:
            raise
        return Compiled(needed, None)
    return Compiled(float(program.memory_analysis().peak_memory_in_bytes), parse(program.as_text()))


@contextmanager
def _uncached() -> Iterator[None]:
    """Nothing goes to jax's cache of programs, should there be one: what was made for absent devices cannot be read back from it."""
    least = jax.config.jax_persistent_cache_min_compile_time_secs
    jax.config.update("jax_persistent_cache_min_compile_time_secs", math.inf)
    try:
        yield
    finally:
        jax.config.update("jax_persistent_cache_min_compile_time_secs", least)


def refused_size(message: str) -> float | None:
    """The bytes for which the compiler refuses a program; None where the message is of something else."""
    found = _REFUSAL.search(message)
    if found is None:
        return None
    return float(found["total"] or found["used"]) * _UNITS[(found["unit"] or found["of"]).upper()]
