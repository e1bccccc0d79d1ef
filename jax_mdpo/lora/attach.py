"""Adapters onto a model's linear layers, and their factors back out, by Hugging Face module names."""

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping
from functools import reduce
from typing import NamedTuple, cast

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from jax_mdpo.layers.linear import Linear
from jax_mdpo.lora.adapter import Adapter, LoRAConstant, LoRAParam
from jax_mdpo.lora.peft_files import Factors
from jax_mdpo.lora.targets import Target
from jax_mdpo.weights.tables import Place


class Split(NamedTuple):
    """A model with adapters, taken apart: merge(graph, lora, constants, base) gives it back. `lora` is what training changes."""

    graph: nnx.GraphDef
    lora: nnx.State
    constants: nnx.State
    base: nnx.State


def split(model: nnx.Module) -> Split:
    """Takes a model apart into its graph, the adapters' factors, the adapters' constants and the base weights."""
    return Split(*nnx.split(model, LoRAParam, LoRAConstant, ...))


def attach(
    model: nnx.Module, modules: Mapping[str, Place], targets: Mapping[str, Target], factors: Factors, *, dropout: float = 0.0
) -> None:
    """Gives each targeted linear layer an Adapter that holds `factors`; changes the model in place.

    modules: every linear layer by name (weights/tables.py). targets: rank and scaling by name. dropout: of the adapters' input.
    """
    by_path: dict[str, list[str]] = defaultdict(list)
    for name in targets:
        by_path[modules[name].path].append(name)
    for path, names in by_path.items():
        linear = cast(Linear, reduce(getattr, path.split("."), model))
        linear.adapter = nnx.data(_adapter(linear, {modules[name].layer: name for name in names}, targets, factors, dropout))


def _adapter(linear: Linear, layers: Mapping[int | None, str], targets: Mapping[str, Target], factors: Factors, dropout: float) -> Adapter:
    kernel = linear.kernel
    *stack, inputs, outputs = kernel.shape
    rank = max(targets[name].rank for name in layers.values())
    a = np.zeros((*stack, inputs, rank), np.float32)
    b = np.zeros((*stack, rank, outputs), np.float32)
    scale = np.zeros(stack, np.float32)
    for layer, name in layers.items():
        stored_a, stored_b = factors[name]
        place, own = (() if layer is None else (layer,)), targets[name].rank
        a[(*place, slice(None), slice(own))] = stored_a.T
        b[(*place, slice(own), slice(None))] = stored_b.T
        scale[place] = targets[name].scaling
    keys = jax.random.key_data(jax.random.split(jax.random.key(0), stack)) if dropout else None
    return Adapter(jnp.asarray(a), jnp.asarray(b), jnp.asarray(scale), axes=kernel.axes, dropout=dropout, keys=keys)


def initial(modules: Mapping[str, tuple[int, int]], targets: Mapping[str, Target], rng: np.random.Generator) -> Factors:
    """Fresh factors: A uniform in ±1/sqrt(in) as PEFT draws it (Kaiming with a = sqrt 5), B zero. modules: (in, out) by name."""
    factors = {}
    for name in sorted(targets):
        inputs, outputs = modules[name]
        bound = 1 / math.sqrt(inputs)
        a = rng.uniform(-bound, bound, (targets[name].rank, inputs)).astype(np.float32)
        factors[name] = (a, np.zeros((outputs, targets[name].rank), np.float32))
    return factors


def factors_of(lora: nnx.State, modules: Mapping[str, Place], targets: Mapping[str, Target]) -> Factors:
    """The factors by module name, in PEFT's orientation, cut to each module's own rank. Copies from the devices."""
    held = {".".join(map(str, path)): np.asarray(jax.device_get(leaf[...])) for path, leaf in nnx.to_flat_state(lora)}
    factors = {}
    for name, target in targets.items():
        path, layer = modules[name]
        a, b = (held[f"{path}.adapter.{factor}"] for factor in "ab")
        if layer is not None:
            a, b = a[layer], b[layer]
        factors[name] = (np.ascontiguousarray(a[:, : target.rank].T), np.ascontiguousarray(b[: target.rank].T))
    return factors


def linear_shapes(model: nnx.Module, modules: Mapping[str, Place]) -> dict[str, tuple[int, int]]:
    """(in, out) of every linear layer by name."""
    shapes = {}
    for name, (path, _) in modules.items():
        *_, inputs, outputs = cast(Linear, reduce(getattr, path.split("."), model)).kernel.shape
        shapes[name] = (inputs, outputs)
    return shapes


def touches(names: Iterable[str], modules: Mapping[str, Place], parts: tuple[str, ...]) -> bool:
    """Whether any of the adapted modules lies in one of these parts of the model ("vision_tower")."""
    return any(modules[name].path.split(".")[0] in parts for name in names)


def with_dropout_keys(constants: nnx.State, key: jax.Array) -> nnx.State:
    """The constants with fresh dropout keys drawn from `key`, one per adapter and layer; the scales stay."""
    leaves, tree = jax.tree.flatten(constants)
    return jax.tree.unflatten(tree, [_fresh(leaf, key, i) if leaf.dtype == jnp.uint32 else leaf for i, leaf in enumerate(leaves)])


def _fresh(keys: jax.Array, key: jax.Array, index: int) -> jax.Array:
    return jax.random.key_data(jax.random.split(jax.random.fold_in(key, index), keys.shape[:-1]))


def without_dropout(model: nnx.Module) -> None:
    """Switches every adapter's dropout off, in place."""
    for _, node in nnx.iter_graph(model):
        if isinstance(node, Adapter):
            node.dropout = 0.0
