"""What a traced program multiplies, read from its jaxpr.

Nothing is compiled and no device is needed, so this serves any machine. The work is the whole program's, over all devices.
"""

import math
from collections import Counter
from collections.abc import Iterator
from typing import Any

from jax.extend.core import ClosedJaxpr, Jaxpr, JaxprEqn

KERNEL = "pallas_call"
CUDNN = {"dot_product_attention_fwd_wrapper": 2, "dot_product_attention_bwd_wrapper": 5}  # products of attention in each


def matrix_work(jaxpr: ClosedJaxpr) -> Counter[str]:
    """Floating-point operations by where they run: "products" (dot_general and convolutions), "kernels" (Pallas's and cuDNN's).

    Loops are multiplied out, of a condition the dearest branch counts. A kernel counts its own cost estimate where it carries one,
    otherwise what its body does times its grid.
    """
    return _work(jaxpr.jaxpr)


def _work(jaxpr: Jaxpr) -> Counter[str]:
    total: Counter[str] = Counter()
    for equation in jaxpr.eqns:
        total.update(_equation_work(equation))
    return total


def _equation_work(equation: JaxprEqn) -> Counter[str]:
    name, params = equation.primitive.name, equation.params
    if not equation.outvars and not equation.effects:  # what gave only kept results is dropped by the compiler
        return Counter()
    if name == "dot_general":
        (contracted, _), _ = params["dimension_numbers"]
        left, result = equation.invars[0].aval, equation.outvars[0].aval
        return Counter(products=2 * math.prod(result.shape) * math.prod(left.shape[axis] for axis in contracted))
    if name == "conv_general_dilated":
        kernel, result = equation.invars[1].aval, equation.outvars[0].aval
        outputs = kernel.shape[params["dimension_numbers"].rhs_spec[0]]
        return Counter(products=2 * math.prod(result.shape) * math.prod(kernel.shape) // outputs)
    if name in CUDNN:
        return Counter(kernels=CUDNN[name] * _scores(equation))
    inner = [_work(one) for one in inner_jaxprs(params)]
    if not inner:
        return Counter()
    if name == "cond":
        return max(inner, key=lambda branch: branch.total())
    if name == KERNEL:
        estimate = params.get("cost_estimate")
        body = sum(inner, Counter()).total() * math.prod(params["grid_mapping"].grid)
        return Counter(kernels=int(estimate.flops) if estimate is not None else body)
    return _times(sum(inner, Counter()), _repeats(name, params))


def _scores(equation: JaxprEqn) -> int:
    """Operations of one product of cuDNN's attention of [batch, T, heads, size] with [batch, S, …]; half of them where it is causal."""
    queries, keys = (equation.invars[place].aval.shape for place in (0, 1))
    every = 2 * math.prod(queries) * keys[1]
    return every // 2 if equation.params["mask_type"].name.endswith("CAUSAL") else every


def _repeats(name: str, params: dict[str, Any]) -> int:
    """How often the jaxprs inside an equation run."""
    if name == "scan":
        return params["length"]
    if name == "shard_map":
        sizes = dict(params["mesh"].shape)
        return math.prod(sizes[axis] for axis in params["newly_manual_axes"])
    return 1


def _times(work: Counter[str], count: int) -> Counter[str]:
    return Counter({where: operations * count for where, operations in work.items()})


def inner_jaxprs(params: dict[str, Any]) -> Iterator[Jaxpr]:
    """The jaxprs that an equation calls."""
    for value in params.values():
        for one in value if isinstance(value, list | tuple) else (value,):
            if isinstance(one, ClosedJaxpr):
                yield one.jaxpr
            elif isinstance(one, Jaxpr):
                yield one
