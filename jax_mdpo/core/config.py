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

    where: what is being read ("configs/llava15_7b_mdpo.yaml"), for the message. A number written as text ("1e-5") is taken as a number.
    """
    try:
        return TypeAdapter(cls).validate_python(dict(values))
    except ValidationError as error:
        faults: dict[str, list[str]] = {}
        for fault in error.errors():
            key, text = _fault(cls, fault)
            faults.setdefault(key, []).append(text)
        count = f"{len(faults)} fault{'s' * (len(faults) > 1)}"
        raise ConfigError(f"{where} has {count}:\n" + "\n".join(_line(key, texts) for key, texts in faults.items())) from None


def _line(key: str, texts: list[str]) -> str:
    """One line for each key; where a value may be of several kinds, what each kind says of it is joined."""
    return f"  - {key}: {'; or '.join(texts)}" if key else f"  - {'; '.join(texts)}"


def _fault(cls: type, fault: Mapping[str, Any]) -> tuple[str, str]:
    path, holder = _walk(cls, fault["loc"])
    key = ".".join(path)
    if fault["type"] == "unexpected_keyword_argument":
        return f"unknown key {key!r}", nearest(path[-1], [field.name for field in dataclasses.fields(holder)])
    if fault["type"] in ("missing", "missing_argument"):
        return f"{key!r} is missing", f"expected {_kind(get_type_hints(holder).get(path[-1]))}"
    if fault["type"] == "value_error":
        return repr(key) if key else "", str(fault["ctx"]["error"])
    return repr(key) if key else "", f"{fault['msg']}, got {fault['input']!r}"


def _walk(cls: type, location: tuple[str | int, ...]) -> tuple[list[str], Any]:
    """The keys on the way to a fault, and the dataclass that holds the last of them.

    Pydantic's names for the members of a union are no keys: they stand where no dataclass does.
    """
    path: list[str] = []
    holder: Any = cls
    inner: Any = cls
    for part in location:
        if isinstance(part, int):
            path.append(str(part))
        elif inner is not None:
            path.append(part)
            holder, inner = inner, next(iter(_dataclasses_in(get_type_hints(inner).get(part))), None)
    return path, holder


def _kind(hint: Any) -> str:
    return hint.__name__ if isinstance(hint, type) else str(hint).replace("typing.", "")


def _dataclasses_in(hint: Any) -> list[type]:
    found = [hint] if dataclasses.is_dataclass(hint) and isinstance(hint, type) else []
    return found + [inner for argument in get_args(hint) for inner in _dataclasses_in(argument)]
