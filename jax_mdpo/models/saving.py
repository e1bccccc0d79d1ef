"""A model's weights as stored tensors: the weight table read backwards."""

from collections.abc import Callable, Mapping
from functools import partial

import jax
import numpy as np
from einops import rearrange
from flax import nnx

from jax_mdpo.weights.tables import Entry
from jax_mdpo.weights.writing import LazyTensor


def stored_tensors(base: nnx.State, table: list[Entry], *, name: Callable[[str], str] = str) -> Mapping[str, LazyTensor]:
    """Every tensor by the key that `name` gives its canonical one, in table order; each is fetched when it is written."""
    leaves = {".".join(map(str, path)): leaf[...] for path, leaf in nnx.to_flat_state(base)}
    tensors = {}
    for entry in table:
        leaf = leaves[entry.path]
        for layer, key in enumerate(entry.keys):
            size = leaf.nbytes // len(entry.keys)
            tensors[name(key)] = LazyTensor(size, partial(_fetch, leaf, layer if entry.stacked else None, entry.inverse))
    return tensors


def _fetch(leaf: jax.Array, layer: int | None, pattern: str) -> np.ndarray:
    array = np.asarray(jax.device_get(leaf if layer is None else leaf[layer]))
    return rearrange(array, pattern, **_sizes(pattern, array)) if pattern else array


def _sizes(pattern: str, array: np.ndarray) -> dict[str, int]:
    """The sizes that splitting a joined axis needs: square patches of three channels are the only joined axes there are."""
    if "(p q C)" not in pattern.split("->")[0]:
        return {}
    side = round((array.shape[0] / 3) ** 0.5)
    return {"p": side, "q": side, "C": 3}
