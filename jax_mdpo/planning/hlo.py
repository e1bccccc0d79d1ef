"""Reading a compiled program's text (HLO): what runs, how often, for how many cycles, and what crosses the network.

The compiler's own summary counts a loop's body once. Here the control flow is walked from the entry: an instruction in a loop counts as
often as the loop turns. The turns stand in the loop's `known_trip_count`, or are the only integer constant of its condition: JAX's
scans count from zero in ones. A TPU's compiler writes into every operation how many cycles it expects of it (`estimated_cycles`), but
into no collective and no kernel.
"""

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

_HEADER = re.compile(r"^(ENTRY )?%?([\w.\-]+) .*\{$")
_INSTRUCTION = re.compile(r"^\s+(?:ROOT )?%?([\w.\-]+) = (.*)$")
_OPCODE = re.compile(r"\s*([a-z][\w\-]*)\(")
_CYCLES = re.compile(r'"estimated_cycles":"(\d+)"')
_TRIPS = re.compile(r'"known_trip_count":\{"n":"(\d+)"\}')
_INTEGER = re.compile(r"^[su](?:32|64)\[\]")
ARRAY = re.compile(r"\b(pred|[a-z]+\d+\w*)\[([\d,]*)\]")
_CALLED = re.compile(r"(?:calls|to_apply|true_computation|false_computation)=%?([\w.\-]+)")
_CHANNEL = re.compile(r"channel_id=(\d+)")
_BRANCHES = re.compile(r"branch_computations=\{([^}]*)\}")
COLLECTIVES = ("all-gather", "all-reduce", "reduce-scatter", "all-to-all", "collective-permute")


class Instruction(NamedTuple):
    """One line of a computation. shape: the type of its result as text; rest: operands and attributes as text."""

    name: str
    shape: str
    opcode: str
    rest: str

    @property
    def cycles(self) -> int:
        found = _CYCLES.search(self.rest)
        return int(found[1]) if found else 0

    def attribute(self, name: str) -> str:
        """The computation that an attribute names."""
        found = re.search(rf"\b{name}=%?([\w.\-]+)", self.rest)
        return found[1] if found else ""


@dataclass(frozen=True)
class Module:
    """A program's computations by name, and the one that it starts with."""

    computations: dict[str, list[Instruction]]
    entry: str


class Step(NamedTuple):
    """An instruction of the control flow, with the computation it stands in and how often it runs."""

    instruction: Instruction
    computation: str
    times: int


class Collective(NamedTuple):
    """kind: of COLLECTIVES. sent: bytes that each chip sends for one run, by a ring. times: how often it runs in a step.

    hidden: whether the program goes on while it runs: it has a start and an end, or is spread over fusions that compute.
    """

    kind: str
    sent: int
    times: int
    hidden: bool


def parse(text: str) -> Module:
    """Reads `compiled.as_text()`."""
    computations: dict[str, list[Instruction]] = {}
    entry, current = "", ""
    for line in text.splitlines():
        header = _HEADER.match(line)
        if header and not line.startswith("HloModule"):
            current = header[2]
            computations[current] = []
            entry = current if header[1] else entry
        elif current and (found := _INSTRUCTION.match(line)):
            computations[current].append(_instruction(*found.groups()))
    return Module(computations, entry)


def _instruction(name: str, text: str) -> Instruction:
    end = _closing(text) if text.startswith("(") else text.index(" ")
    opcode = _OPCODE.match(text, end)
    return Instruction(name, text[:end], opcode[1] if opcode else "", text[opcode.end() if opcode else end :])


def _closing(text: str) -> int:
    """Past the parenthesis that closes the first one."""
    depth = 0
    for place, letter in enumerate(text):
        depth += (letter == "(") - (letter == ")")
        if not depth:
            return place + 1
    return len(text)


def steps(module: Module, computation: str | None = None, times: int = 1) -> Iterator[Step]:
    """Everything that runs, loops included; what stands inside a fusion is part of the fusion. All branches of a condition count."""
    name = module.entry if computation is None else computation
    for instruction in module.computations.get(name, ()):
        yield Step(instruction, name, times)
        if instruction.opcode == "while":
            yield from steps(module, instruction.attribute("body"), times * trips(module, instruction))
        elif instruction.opcode in ("call", "conditional"):
            for inner in _called(instruction):
                yield from steps(module, inner, times)


def trips(module: Module, loop: Instruction) -> int:
    """How often a loop turns; once where the text does not say."""
    known = _TRIPS.search(loop.rest)
    if known:
        return int(known[1])
    condition = module.computations.get(loop.attribute("condition"), ())
    limits = [one for one in condition if one.opcode == "constant" and _INTEGER.match(one.shape)]
    return int(limits[0].rest.split(")")[0]) if len(limits) == 1 else 1


def _called(instruction: Instruction) -> list[str]:
    branches = _BRANCHES.search(instruction.rest)
    listed = [name.strip().removeprefix("%") for name in branches[1].split(",")] if branches else []
    return [*_CALLED.findall(instruction.rest), *listed]


def cycles(module: Module) -> int:
    """The compiler's estimates of all operations, loops multiplied out."""
    return sum(step.instruction.cycles * step.times for step in steps(module))


def collectives(module: Module) -> list[Collective]:
    """Every transfer between chips.

    A TPU spreads one transfer over several fusions of a computation, each of which names it with the same channel and shape: it counts
    once.
    """
    found: dict[tuple[str, ...], Collective] = {}
    for step in steps(module):
        for instruction in _with_fused(module, step.instruction):
            kind = instruction.opcode.removesuffix("-start")
            if kind in COLLECTIVES:
                fused = instruction is not step.instruction
                same = _CHANNEL.findall(instruction.rest) + ARRAY.findall(instruction.shape) if fused else [instruction.name]
                hidden = fused or instruction.opcode != kind
                found[step.computation, kind, str(same)] = Collective(kind, _sent(kind, instruction), step.times, hidden)
    return list(found.values())


def _with_fused(module: Module, instruction: Instruction) -> Iterator[Instruction]:
    yield instruction
    if instruction.opcode in ("fusion", "async-start"):
        for name in _called(instruction):
            for inner in module.computations.get(name, ()):
                yield from _with_fused(module, inner)


def _sent(kind: str, instruction: Instruction) -> int:
    """Bytes each of n chips sends: V (n − 1) / n for a gather, a scatter or an exchange of V bytes, twice that for a reduction."""
    members = _members(instruction.rest)
    sizes = [array_bytes(*found) for found in ARRAY.findall(instruction.shape)]
    if kind == "collective-permute":
        return max(sizes)
    whole = max(sizes) if instruction.opcode.endswith("-start") else sum(sizes)
    if kind == "reduce-scatter":
        whole *= members  # the text shows what each chip keeps
    return (2 if kind == "all-reduce" else 1) * whole * (members - 1) // members


def array_bytes(dtype: str, dimensions: str) -> int:
    """Bytes of an array such as ("bf16", "2,128"), packed: four-bit types take half a byte."""
    bits = 8 if dtype == "pred" else int(re.findall(r"\d+", dtype)[0])
    return math.prod(int(size) for size in dimensions.split(",") if size) * bits // 8


def _members(text: str) -> int:
    """How many chips take part, from any of the three ways in which groups are written."""
    listed = re.search(r"replica_groups=\{\{([\d,]*)\}", text)
    if listed:
        return listed[1].count(",") + 1
    counted = re.search(r"replica_groups=\[\d+,(\d+)\]", text)
    if counted:
        return int(counted[1])
    meshed = re.search(r"replica_groups=mesh\[([^\]]*)\]\s*\{([^}]*)\}", text)
    if meshed:
        sizes = {name: int(size) for name, size in re.findall(r"'([^']+)'=(\d+)", meshed[1])}
        return math.prod(sizes[name] for name in re.findall(r"'([^']+)'", meshed[2]))
    return 1
