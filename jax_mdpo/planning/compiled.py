"""What the TPU compiler makes of a step: its memory, and a time put together from the program that it wrote."""

import re
from collections import Counter
from dataclasses import dataclass
from typing import Any

import jax

from jax_mdpo.planning.chips import GIB, Chip
from jax_mdpo.planning.forecast import Time
from jax_mdpo.planning.hlo import Module, collectives, cycles, parse

KERNEL_SHARE = 0.4  # of the chip's peak, for kernels that the compiler has no estimate of; flash attention reaches about that
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
        """kernels: operations of a step within kernels, on one chip. Empty where there is no program, or no clock to time it by."""
        if self.module is None or not (chip.clock and chip.link and chip.flops):
            return ()
        work = cycles(self.module) / chip.clock
        inside = kernels / (KERNEL_SHARE * chip.flops)
        behind, alone = (sum(one.times * one.sent for one in collectives(self.module) if one.hidden is hidden) for hidden in (True, False))
        waiting = alone / chip.link + max(behind / chip.link - work - inside, 0.0)
        rate = f"at {chip.link / 1e9:g} GB/s; {behind / 1e9:.1f} GB pass behind the work as far as it lasts, {alone / 1e9:.1f} GB do not"
        parts = [
            Time("operations", work, f"the compiler's cycles per operation × turns of its loops, at {chip.clock / 1e9:g} GHz"),
            Time("kernels", inside, f"{kernels / 1e12:.1f} TFLOP a chip at {KERNEL_SHARE:.0%} of {chip.flops / 1e12:g} TFLOP/s"),
            Time("waiting for the network", waiting, rate),
        ]
        return tuple(part for part in parts if part.seconds)


def compiled(traced: Any) -> Compiled:
    """Compiles a traced step. A program that does not fit gives the size that the compiler refused it for."""
    try:
        program = traced.lower().compile()
    except jax.errors.JaxRuntimeError as error:
        needed = refused_size(str(error))
        if needed is None:
            raise
        return Compiled(needed, None)
    return Compiled(float(program.memory_analysis().peak_memory_in_bytes), parse(program.as_text()))


def refused_size(message: str) -> float | None:
    """The bytes for which the compiler refuses a program; None where the message is of something else."""
    found = _REFUSAL.search(message)
    if found is None:
        return None
    return float(found["total"] or found["used"]) * _UNITS[(found["unit"] or found["of"]).upper()]
