"""Weight maps as tables: one rule per kind of tensor, read forwards by the loader and backwards by the writer."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import NamedTuple

from jax_mdpo.weights.quantising import Format, Parts

LAYER = "{layer}"


@dataclass(frozen=True)
class Rule:
    """The stored tensor `key` is the leaf `path`.

    key: a Hugging Face key; "{layer}" stands for the layer's number, and then the leaf stacks the layers on a new first axis.
    path: the leaf's attribute path in the model, dotted.
    pattern: an einops pattern "stored axes -> leaf axes", empty where the two agree. Read backwards it is the exporter's.
    """

    key: str
    path: str
    pattern: str = ""

    @property
    def inverse(self) -> str:
        """The pattern from leaf to stored tensor."""
        return " -> ".join(reversed([side.strip() for side in self.pattern.split("->")])) if self.pattern else ""


class Entry(NamedTuple):
    """One leaf with the stored keys it is made of, in layer order (a single key where the leaf is not stacked).

    format: of a kernel that is held quantised, as the leaves path.codes and path.scale.
    """

    path: str
    keys: tuple[str, ...]
    stacked: bool
    pattern: str
    inverse: str
    format: Format | None = None

    @property
    def leaves(self) -> tuple[str, ...]:
        """The paths of what the model holds: of the leaf itself, or of its parts."""
        return (self.path,) if self.format is None else tuple(f"{self.path}.{part}" for part in Parts._fields)


class Place(NamedTuple):
    """A linear layer in the model: its attribute path, and which slice of a stack it is (None where it stands alone)."""

    path: str
    layer: int | None


def linear(name: str, *, bias: bool = False) -> list[Rule]:
    """A linear layer stored [out, in], held [in, out]."""
    kernel = Rule(f"{name}.weight", f"{name}.kernel", "o i -> i o")
    return [kernel, *as_stored(f"{name}.bias")] if bias else [kernel]


def as_stored(*names: str) -> list[Rule]:
    """Tensors whose name and axes are the same on both sides."""
    return [Rule(name, name) for name in names]


def layer_norm(name: str) -> list[Rule]:
    """A normalisation's weight and bias."""
    return as_stored(f"{name}.weight", f"{name}.bias")


def within(prefix: str, rules: Iterable[Rule], *, path: str | None = None) -> list[Rule]:
    """The rules of a part that stands at `prefix` in the checkpoint and at `path` (by default the same) in the model."""
    place = prefix if path is None else path
    return [replace(rule, key=f"{prefix}.{rule.key}", path=f"{place}.{rule.path}".lstrip(".")) for rule in rules]


def stacked(name: str, rules: Iterable[Rule]) -> list[Rule]:
    """The rules of one block of a stack: stored at name.0, name.1, …, held at name.block with a leading layer axis."""
    return within(f"{name}.{LAYER}", rules, path=f"{name}.block")


def entries(rules: Iterable[Rule], layers: dict[str, int]) -> Iterator[Entry]:
    """The table written out. layers: how many blocks the stack at a key prefix ("model.language_model.layers") has."""
    for rule in rules:
        if LAYER not in rule.key:
            yield Entry(rule.path, (rule.key,), False, rule.pattern, rule.inverse)
            continue
        stack = rule.key.split(f".{LAYER}")[0]
        keys = tuple(rule.key.replace(LAYER, str(i)) for i in range(layers[stack]))
        yield Entry(rule.path, keys, True, rule.pattern, rule.inverse)


def quantised(table: Iterable[Entry], part: str, format: Format) -> list[Entry]:
    """The table with the kernels of linear layers below the path `part` held in `format`."""
    return [
        entry._replace(format=format) if entry.path.startswith(f"{part}.") and entry.path.endswith(".kernel") else entry for entry in table
    ]


def formats(table: Iterable[Entry]) -> dict[str, Format]:
    """The format of every linear layer that is held quantised, by its Hugging Face module name."""
    return {key.removesuffix(".weight"): entry.format for entry in table if entry.format is not None for key in entry.keys}


def linear_modules(table: Iterable[Entry]) -> dict[str, Place]:
    """Every linear layer by its Hugging Face module name, with the place of its kernel here; what adapters can be attached to."""
    return {
        key.removesuffix(".weight"): Place(entry.path.removesuffix(".kernel"), layer if entry.stacked else None)
        for entry in table
        if entry.path.endswith(".kernel") and is_permutation(entry.pattern)
        for layer, key in enumerate(entry.keys)
    }


def is_permutation(pattern: str) -> bool:
    """Whether the pattern only reorders axes, so that a slice of the leaf is a slice of the stored tensor."""
    return not re.search(r"[()]", pattern)


def permute(pattern: str, index: tuple[slice, ...]) -> tuple[slice, ...]:
    """The slice of the stored tensor that holds the leaf's slice `index`; the pattern must be a permutation."""
    if not pattern:
        return index
    stored, held = (side.split() for side in pattern.split("->"))
    return tuple(index[held.index(axis)] for axis in stored)
