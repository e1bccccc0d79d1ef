"""Parts of the settings that are named: a name, or a mapping with a name, becomes an object, and back."""

import dataclasses
from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

from jax_mdpo.core.config import validate
from jax_mdpo.core.errors import ConfigError, nearest
from jax_mdpo.corruptions import CORRUPTIONS
from jax_mdpo.data.hard_negatives import HARD_NEGATIVES
from jax_mdpo.evaluation.benchmarks import registry as benchmarks
from jax_mdpo.objectives.registry import TERMS, WEIGHTINGS

NEGATIVES: Mapping[str, type] = {**HARD_NEGATIVES, **CORRUPTIONS}
PARTS: Mapping[str, Mapping[str, type]] = {  # by the key that holds one or several of them, at any depth
    "objectives": TERMS,
    "weights": WEIGHTINGS,
    "hard_negative": NEGATIVES,
    "of": NEGATIVES,
    **benchmarks.PARTS,
}


def made(values: Mapping[str, Any], where: str) -> dict[str, Any]:
    """`values` with every named part made into its object, at any depth."""
    return {key: part(PARTS[key], value, f"{where}: {key}") if key in PARTS else _within(value, where) for key, value in values.items()}


def _within(value: Any, where: str) -> Any:
    if isinstance(value, Mapping):
        return made(value, where)
    return [_within(one, where) for one in value] if isinstance(value, list) else value


def part(known: Mapping[str, type], value: Any, where: str) -> Any:
    """A named part, or several, made into objects. known: the classes by name; a user's own is package.module:Class."""
    if isinstance(value, list | tuple) and known is not WEIGHTINGS:  # a list of weights is a mixture's: numbers
        return tuple(part(known, one, f"{where}.{place}") for place, one in enumerate(value))
    if isinstance(value, str):
        value = {"name": value}
    if not isinstance(value, Mapping):
        return value  # an object made in Python, a number, or nothing: its holder's own checks judge it
    fields = dict(value)
    return validate(_class_of(known, fields.pop("name", None), where), made(fields, where), where=where)


def _class_of(known: Mapping[str, type], name: Any, where: str) -> type:
    """The class of a name: one of ours, or "package.module:Class", which is the user's own. The only one of ours needs no name."""
    if name is None and len(known) == 1:
        return next(iter(known.values()))
    if isinstance(name, str) and ":" in name:
        return _imported(name, where)
    if name not in known:
        fix = f"{nearest(str(name), known)}; a class of your own is package.module:Class"
        raise ConfigError(f"{where} has no known name", got=repr(name), fix=fix)
    return known[name]


def _imported(name: str, where: str) -> type:
    module, _, attribute = name.partition(":")
    try:
        found = getattr(import_module(module), attribute)
    except (ImportError, AttributeError) as error:
        raise ConfigError(f"{where}: {name!r} cannot be imported: {error}", fix="name a class on the Python path") from None
    if not dataclasses.is_dataclass(found) or not isinstance(found, type):
        raise ConfigError(f"{where}: {name!r} is no settings class", expected="a frozen dataclass of its settings", got=repr(found))
    return found


def plain(value: Any, key: str = "") -> Any:
    """`value` in plain values, with the names of named parts: `made` gives the same objects back. key: that holds it."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        fields = {field.name: plain(getattr(value, field.name), field.name) for field in dataclasses.fields(value)}
        return {"name": _name_of(PARTS[key], type(value)), **fields} if key in PARTS else fields
    if isinstance(value, Mapping):
        return {inner: plain(one) for inner, one in value.items()}
    if isinstance(value, list | tuple):
        return [plain(one, key) for one in value]
    return str(value) if isinstance(value, Path) else value


def _name_of(known: Mapping[str, type], cls: type) -> str:
    return {one: name for name, one in known.items()}.get(cls, f"{cls.__module__}:{cls.__qualname__}")
