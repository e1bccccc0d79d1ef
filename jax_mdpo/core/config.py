"""Typed, frozen, strict configuration: plain mappings become dataclasses, and every fault names its key and the nearest valid one."""

import dataclasses
from collections.abc import Mapping
from typing import Any, TypeVar, dataclass_transform, get_args, get_type_hints

from pydantic import TypeAdapter, ValidationError

from jax_mdpo.core.errors import ConfigError, nearest

T = TypeVar("T")


@dataclass_transform(frozen_default=True, kw_only_default=True)
def config(cls: type[T]) -> type[T]:
    """A frozen, keyword-only dataclass whose `validate` refuses unknown keys. Its own checks stand in __post_init__ as ValueErrors."""
    made = dataclasses.dataclass(frozen=True, kw_only=True)(cls)
    made.__pydantic_config__ = {"extra": "forbid", "arbitrary_types_allowed": True}  # type: ignore[attr-defined]
    return made


def validate(cls: type[T], values: Mapping[str, Any], *, where: str) -> T:
    """`values` as an instance of `cls`, nested dataclasses included. Raises ConfigError with one line for each fault.

    where: what is being read ("configs/demo.yaml"), for the message. A number written as text ("1e-5") is taken as a number.
    """
    try:
        return TypeAdapter(cls).validate_python(dict(values))
    except ValidationError as error:
        faults = [_fault(cls, fault) for fault in error.errors()]
        raise ConfigError(f"{where} has {len(faults)} fault{'s' * (len(faults) > 1)}:\n" + "\n".join(f"  - {f}" for f in faults)) from None


def _fault(cls: type, fault: Mapping[str, Any]) -> str:
    path = [str(part) for part in fault["loc"] if not _is_union_label(part)]
    key = ".".join(path) or "(the whole)"
    if fault["type"] == "unexpected_keyword_argument":
        return f"unknown key {key!r}: {nearest(path[-1], _fields_at(cls, path[:-1]))}"
    if fault["type"] in ("missing", "missing_argument"):
        return f"{key!r} is missing: expected {_kind(cls, path)}"
    if fault["type"] == "value_error":
        return f"{key!r}: {fault['ctx']['error']}"
    return f"{key!r}: {fault['msg']}, got {fault['input']!r}"


def _is_union_label(part: object) -> bool:
    return isinstance(part, str) and any(mark in part for mark in "[]()-")


def _fields_at(cls: type, path: list[str]) -> list[str]:
    for part in path:
        cls = next((inner for inner in _dataclasses_in(get_type_hints(cls).get(part))), cls)
    return [field.name for field in dataclasses.fields(cls)] if dataclasses.is_dataclass(cls) else []


def _kind(cls: type, path: list[str]) -> str:
    for part in path[:-1]:
        cls = next((inner for inner in _dataclasses_in(get_type_hints(cls).get(part))), cls)
    hint = get_type_hints(cls).get(path[-1]) if path else cls
    return getattr(hint, "__name__", str(hint))


def _dataclasses_in(hint: Any) -> list[type]:
    found = [hint] if dataclasses.is_dataclass(hint) and isinstance(hint, type) else []
    return found + [inner for argument in get_args(hint) for inner in _dataclasses_in(argument)]
