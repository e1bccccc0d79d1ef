"""How much memory a traced program's intermediate results take, estimated from its jaxpr.

Equations run in the order they stand in. A value lives from its equation to its last reader; what a loop stacks exists from its start;
an elementwise result that is read once is never stored, but computed within its reader, whose inputs then live that long. A compiler
orders and fuses better or worse than that: this is an estimate, for machines whose compiler is not at hand.
"""

import math
from typing import Any

from jax.extend.core import ClosedJaxpr, Jaxpr, JaxprEqn, Literal

from jax_mdpo.planning.program import KERNEL, inner_jaxprs

# fmt: off
_ELEMENTWISE = frozenset((
    "abs", "add", "add_any", "and", "broadcast_in_dim", "clamp", "convert_element_type", "copy", "cos", "div", "eq", "erf", "exp",
    "expand_dims", "ge", "gt", "integer_pow", "iota", "is_finite", "le", "log", "log1p", "logistic", "lt", "max", "min", "mul", "name",
    "ne", "neg", "not", "optimization_barrier", "or", "pow", "reshape", "rsqrt", "select_n", "sharding_constraint", "sign", "sin",
    "split", "sqrt", "square", "squeeze", "stop_gradient", "sub", "tanh", "transpose", "xor",
))
# fmt: on
_LOOPS = ("scan", "while")


def alive_bytes(jaxpr: ClosedJaxpr) -> int:
    """The most bytes of intermediate results that exist at one time; the program's arguments and results are not counted."""
    return _peak(jaxpr.jaxpr, count_results=False)


def _peak(jaxpr: Jaxpr, *, count_results: bool) -> int:
    readers, last = _readers(jaxpr)
    results = {one for one in jaxpr.outvars if not isinstance(one, Literal)}
    ending: dict[int, list[Any]] = {}
    for variable, place in last.items():
        if variable not in results:
            ending.setdefault(place, []).append(variable)
    held: dict[Any, int] = {}
    peak = 0
    for place, equation in enumerate(jaxpr.eqns):
        stored = [one for one in equation.outvars if _is_stored(equation, readers.get(one, 0))]
        made = {one: _bytes(one) for one in stored if (count_results if one in results else one in last)}
        inside = _inside(equation)
        peak = max(peak, sum(held.values()) + (sum(made.values()) + inside if _is_loop(equation) else max(sum(made.values()), inside)))
        held |= made
        for one in ending.get(place, ()):
            held.pop(one, None)
    return peak


def _inside(equation: JaxprEqn) -> int:
    if equation.primitive.name == KERNEL:  # its working set is on the chip
        return 0
    return max((_peak(one, count_results=True) for one in inner_jaxprs(equation.params)), default=0)


def _is_loop(equation: JaxprEqn) -> bool:
    return equation.primitive.name in _LOOPS


def _is_stored(equation: JaxprEqn, readers: int) -> bool:
    return equation.primitive.name not in _ELEMENTWISE or readers > 1


def _readers(jaxpr: Jaxpr) -> tuple[dict[Any, int], dict[Any, int]]:
    """Of every variable: by how many equations or as how many results it is read, and the place of its last reader.

    The inputs of an equation that is computed within its reader are read where that one stands.
    """
    readers: dict[Any, int] = {}
    last: dict[Any, int] = {}
    for one in jaxpr.outvars:
        if not isinstance(one, Literal):
            readers[one], last[one] = readers.get(one, 0) + 1, len(jaxpr.eqns)
    for place, equation in reversed(list(enumerate(jaxpr.eqns))):
        count = max((readers.get(one, 0) for one in equation.outvars), default=0)
        within = not _is_stored(equation, count) and count == 1
        where = max(last[one] for one in equation.outvars if one in last) if within else place
        for one in {one for one in equation.invars if not isinstance(one, Literal)}:
            readers[one] = readers.get(one, 0) + 1
            last[one] = max(last.get(one, 0), where)
    return readers, last


def _bytes(variable: Any) -> int:
    aval = variable.aval
    return math.prod(aval.shape) * aval.dtype.itemsize if hasattr(aval, "shape") else 0
