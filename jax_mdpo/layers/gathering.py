"""Weights that a mesh has split over fsdp, put together where they are used."""

from typing import TypeVar

import jax
from flax import nnx

from jax_mdpo.sharding.logical import constrain, gathers, stacked, without_fsdp

M = TypeVar("M", bound=nnx.Module)


def gathered(module: M) -> M:
    """`module` with every weight whole over fsdp, and split over tensor as it was. Itself where the mesh splits nothing over fsdp.

    For programs that multiply many rows with each weight. Left to itself, XLA passes pieces of a weight around a TPU's ring, multiplies
    with one at a time and adds the outputs up in memory, which takes far longer than the products themselves; and it gathers a weight
    that a loop uses in each of its turns.
    """
    if not gathers():
        return module
    graph, state = nnx.split(module)
    return nnx.merge(graph, jax.tree.map(_whole, state, is_leaf=lambda leaf: isinstance(leaf, nnx.Variable)))


def _whole(leaf: nnx.Variable) -> nnx.Variable:
    split = stacked(leaf.axes, leaf.ndim)
    axes = without_fsdp(split)
    return leaf if axes == split else leaf.replace(constrain(leaf[...], *axes))
