"""Looking into traced programs."""

from collections.abc import Callable, Iterator

import jax
from jax.extend.core import Jaxpr
from jax.extend.core import JaxprEqn as Equation


def equations(jaxpr: Jaxpr, enter: Callable[[Equation], bool] = lambda equation: True) -> Iterator[Equation]:
    """All equations, and those of the inner programs of every equation that may be entered."""
    for equation in jaxpr.eqns:
        yield equation
        for value in jax.tree.leaves(equation.params, is_leaf=lambda x: hasattr(x, "eqns") or hasattr(x, "jaxpr")):
            inner = getattr(value, "jaxpr", value)
            if hasattr(inner, "eqns") and enter(equation):
                yield from equations(inner, enter)


def products(jaxpr: Jaxpr) -> Iterator[Equation]:
    """All matrix products, in inner programs too."""
    return (equation for equation in equations(jaxpr) if equation.primitive.name == "dot_general")
