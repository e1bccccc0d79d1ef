"""How long a GPU's program takes at the least, from what each of its operations multiplies and moves.

An operation of a GPU program reads its operands from memory and writes its results there; what stands inside a fusion stays on the
chip. So its time is that of its arithmetic or of its traffic, whichever is longer (the roofline model: Williams et al. 2009,
doi 10.1145/1498765.1498785). What it costs to start one, and whatever runs side by side, is left out.
"""

import math
import re
from collections import defaultdict
from collections.abc import Iterator
from typing import NamedTuple

from jax_mdpo.planning.hlo import ARRAY, COLLECTIVES, Instruction, Module, array_bytes, steps

_CONTRACTED = re.compile(r'(?:"lhs_contracting_dimensions":\[|lhs_contracting_dims=\{)([\d",]*)[\]}]')
_NAME = re.compile(r"%([\w.\-]+)")
_CALLS = re.compile(r"\bcalls=%?([\w.\-]+)")
_MATMUL = "__cublas"
_KERNEL = "__cudnn$fmha"
_FREE = {
    *("parameter", "constant", "get-tuple-element", "tuple", "bitcast", "while", "call", "conditional", "after-all", "opt-barrier"),
    *("fusion-done", "copy-done", "async-done", "async-update", *COLLECTIVES),
    *(f"{kind}-{end}" for kind in COLLECTIVES for end in ("start", "done")),
}
_VIEWS = {"bitcast", "reshape", "get-tuple-element"}
_PARTS = {"dynamic-slice", "slice", "gather"}  # read a part of their first operand
_UPDATES = {"dynamic-update-slice"}  # write a part of it, in place


class Cost(NamedTuple):
    """What one run of an operation takes. operations: of matrix products. moved: bytes between chip and memory. kernel: attention."""

    operations: int
    moved: int
    kernel: bool
    times: int


def costs(module: Module) -> Iterator[Cost]:
    """Of every operation that runs; transfers between chips are counted elsewhere (planning/hlo.py)."""
    shapes = {name: {one.name: one.shape for one in lines} for name, lines in module.computations.items()}
    for instruction, computation, times in steps(module):
        if instruction.opcode in _FREE:
            continue
        called = _CALLS.search(instruction.rest) if instruction.opcode in ("fusion", "fusion-start") else None
        if called:
            inside, known = module.computations[called[1]], shapes[called[1]]
            yield Cost(sum(_operations(one, known) for one in inside), _moved(inside, known), False, times)
        else:
            known = shapes[computation]
            moved = sum(_bytes(known.get(name, "")) for name in operands(instruction)) + _results(instruction)
            yield Cost(_operations(instruction, known), moved, _KERNEL in instruction.rest, times)


def operands(instruction: Instruction) -> list[str]:
    """The names of what an instruction is given."""
    depth = 0
    for place, letter in enumerate(instruction.rest):
        depth += (letter == "(") - (letter == ")")
        if depth < 0:
            return _NAME.findall(instruction.rest[:place])
    return []


def _operations(instruction: Instruction, shapes: dict[str, str]) -> int:
    """Of a matrix product, the compiler's own or cuBLAS's; 0 for all else."""
    if instruction.opcode != "dot" and _MATMUL not in instruction.rest:
        return 0
    contracted = _CONTRACTED.search(instruction.rest)
    left = ARRAY.findall(shapes[operands(instruction)[0]])[0][1].split(",")
    sizes = [int(left[int(axis)]) for axis in re.findall(r"\d+", contracted[1])] if contracted else []
    result = ARRAY.findall(instruction.shape)[0][1]
    return 2 * math.prod(sizes) * math.prod(int(size) for size in result.split(",") if size)


def _moved(inside: list[Instruction], shapes: dict[str, str]) -> int:
    """Bytes that a fusion reads and writes. Of an operand of which only slices are used, the slices count."""
    users: dict[str, list[tuple[Instruction, int]]] = defaultdict(list)
    for one in inside:
        for place, name in enumerate(operands(one)):
            users[name].append((one, place))
    by_name = {one.name: one for one in inside}

    def read(name: str) -> int | None:
        """None: all of it."""
        total = 0
        for user, place in users[name]:
            if user.opcode in _VIEWS:
                part = read(user.name)
            elif user.opcode in _PARTS and place == 0:
                part = _bytes(user.shape)
            else:
                part = 0 if user.opcode in _UPDATES and place == 0 else None
            if part is None:
                return None
            total += part
        return total

    def written(one: Instruction) -> int:
        if one.opcode == "tuple":
            return sum(written(by_name[name]) for name in operands(one))
        if one.opcode in _VIEWS and operands(one):
            return written(by_name[operands(one)[0]])
        return _bytes(shapes[operands(one)[1]]) if one.opcode in _UPDATES else _results(one)

    taken = 0
    for one in inside:
        if one.opcode == "parameter":
            whole, part = _bytes(one.shape), read(one.name)
            taken += whole if part is None else min(part, whole)
    return taken + written(inside[-1])


def _results(instruction: Instruction) -> int:
    """Bytes of what an instruction makes, without the workspace that a library's call has as a further result."""
    arrays = ARRAY.findall(instruction.shape)
    return array_bytes(*arrays[0]) if instruction.opcode == "custom-call" and arrays else _bytes(instruction.shape)


def _bytes(shape: str) -> int:
    return sum(array_bytes(*found) for found in ARRAY.findall(shape))
