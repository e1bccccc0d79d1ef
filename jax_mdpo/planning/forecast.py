"""A plan's figures, and how they are told."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from jax_mdpo.planning.chips import Topology

STANDARD_PAIRS = 10_000  # what hours are given for where the data is not here: the size of mDPO's own set


@dataclass(frozen=True)
class Memory:
    """Bytes on one chip, by part, of the largest batch. `peak` is what all of them take together; how it was found stands in `source`."""

    weights: float
    adapter: float
    batch: float
    peak: float
    source: str

    @property
    def temporaries(self) -> float:
        """Activations, gradients and whatever else a step makes."""
        return max(self.peak - self.weights - self.adapter - self.batch, 0.0)


@dataclass(frozen=True)
class Time:
    """A part of a step's time: what takes it, how long (s), and where that comes from."""

    what: str
    seconds: float
    source: str


@dataclass(frozen=True)
class Forecast:
    """What a run will take.

    prefix, response: padded lengths of the largest batch. pairs: of a step; at_a_time: of them on one group of chips.
    executed, least: operations per pair. network: by kind of transfer, how many a step and bytes that each chip sends.
    times: parts of the time of a step; it is their sum. total_pairs: of the whole run, where the data is there.
    change: settings that would make it fit, where it does not; empty where none was found.
    """

    topology: Topology
    prefix: int
    response: int
    pairs: int
    at_a_time: float
    memory: Memory
    executed: float
    least: int
    network: Mapping[str, tuple[int, int]]
    times: tuple[Time, ...]
    total_pairs: int | None
    change: str | None = None
    notes: tuple[str, ...] = ()

    @property
    def fits(self) -> bool:
        return self.memory.peak <= self.topology.chip.memory

    @property
    def seconds(self) -> float:
        """Of a step; zero where no time could be estimated."""
        return sum((part.seconds for part in self.times), start=0.0)

    @property
    def pairs_per_second(self) -> float:
        return self.pairs / self.seconds if self.seconds else 0.0

    def lines(self) -> Iterator[str]:
        """The plan in words, for a terminal."""
        yield f"{self.topology.name}: {self.topology.devices} × {self.topology.chip.name}, {_bytes(self.topology.chip.memory)} each"
        rows = f"rows of {self.prefix} prefix and {self.response} positions a response"
        yield f"a step: {self.pairs} pairs, {self.at_a_time:g} at a time on a chip; {rows}"
        yield from self._memory_lines()
        yield "\nwork per pair"
        yield _line("executed", _operations(self.executed), "matrix products of the step as it is traced")
        yield _line("least", _operations(self.least), "each prefix once, cached reference, no padding, nothing computed twice")
        if self.network:
            yield "\nnetwork per step, sent by each chip"
            yield from (_line(kind, _bytes(sent), f"{times} times") for kind, (times, sent) in sorted(self.network.items()))
        yield from self._time_lines()
        yield from (f"note: {note}" for note in self.notes)

    def _memory_lines(self) -> Iterator[str]:
        memory = self.memory
        yield "\nmemory per chip"
        yield _line("base weights", _bytes(memory.weights))
        yield _line("LoRA and optimiser", _bytes(memory.adapter))
        yield _line("batch", _bytes(memory.batch))
        yield _line("activations, temporaries", _bytes(memory.temporaries))
        yield _line("peak", _bytes(memory.peak), memory.source)
        yield f"  {'fits' if self.fits else 'DOES NOT FIT'}: {_bytes(memory.peak)} of {_bytes(self.topology.chip.memory)}"
        if not self.fits:
            yield f"  would fit with: {self.change}" if self.change else "  no change that was tried makes it fit"

    def _time_lines(self) -> Iterator[str]:
        if not self.seconds:
            return
        yield "\ntime per step, an estimate"
        yield from (_line(part.what, f"{part.seconds:.3f} s", part.source) for part in self.times)
        yield _line("step", f"{self.seconds:.3f} s", f"{self.pairs_per_second:.2f} pairs/s")
        pairs = self.total_pairs or STANDARD_PAIRS
        what = "the run" if self.total_pairs else "(the data is not here)"
        yield _line(f"{pairs} pairs", f"{pairs / self.pairs_per_second / 3600:.2f} h", what)


def _line(what: str, amount: str, source: str = "") -> str:
    return f"  {what:<24}{amount:>12}   {source}".rstrip()


def _bytes(amount: float | int) -> str:
    return _scaled(amount, 1024, ("B", "KiB", "MiB", "GiB", "TiB"))


def _operations(amount: float | int) -> str:
    return _scaled(amount, 1000, ("FLOP", "kFLOP", "MFLOP", "GFLOP", "TFLOP"))


def _scaled(amount: float | int, step: int, units: tuple[str, ...]) -> str:
    power = 0
    while amount >= step and power < len(units) - 1:
        amount, power = amount / step, power + 1
    return f"{amount:.2f} {units[power]}"
