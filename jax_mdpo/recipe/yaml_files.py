"""YAML files that hold settings, each alone or on a base that it changes."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

from jax_mdpo.core.errors import ConfigError

BASE = "base"  # the key that names the file below


def read_yaml(path: Path) -> dict[str, Any]:
    """A YAML file that holds a mapping; where it names a `base`, put over what that file holds, and so on down.

    A base's path counts from the folder of the file that names it. See `put_over` for what is kept of it.
    """
    values: dict[str, Any] = {}
    for _, layer in reversed(list(_layers(path))):
        values = put_over(values, layer)
    return values


def spelled(path: Path) -> str:
    """The file and those below it, for a message: its fault may stand in any of them."""
    return " over ".join(str(file) for file, _ in _layers(path))


def put_over(base: Mapping[str, Any], values: Mapping[str, Any]) -> dict[str, Any]:
    """`base` with `values` over it, key by key: mappings are merged, anything else takes the place of what was there.

    So does a mapping with a `name`: it is a part of its own, of which the base's settings are none.
    """
    merged = {key: put_over(base[key], value) if _is_merged(base.get(key), value) else value for key, value in values.items()}
    return {**base, **merged}


def _is_merged(below: Any, above: Any) -> bool:
    return isinstance(below, Mapping) and isinstance(above, Mapping) and "name" not in above


def _layers(path: Path) -> Iterator[tuple[Path, dict[str, Any]]]:
    """Each file and what it says itself, from the top one down."""
    seen: list[Path] = []
    named: Path | None = path
    while named is not None:
        if named.resolve() in [file.resolve() for file in seen]:
            raise ConfigError(f"{named} is its own base", got=" over ".join(map(str, [*seen, named])), fix=f"take a {BASE}: out")
        values = _mapping(named, of=seen[-1] if seen else None)
        below = values.pop(BASE, None)
        yield named, values
        seen.append(named)
        if below is not None and not isinstance(below, str):
            raise ConfigError(f"{named}: {BASE!r} is no path", expected="the path of a YAML file, from this file's folder", got=repr(below))
        named = None if below is None else named.parent / below


def _mapping(path: Path, of: Path | None) -> dict[str, Any]:
    try:
        values = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        fix = "give the path of a YAML file, such as configs/llava15_7b_mdpo.yaml" if of is None else f"mend {BASE}: in {of}"
        raise ConfigError(f"{path} cannot be read: {error}", fix=fix) from None
    except yaml.YAMLError as error:
        raise ConfigError(f"{path} is not YAML: {error}") from None
    if not isinstance(values, dict):
        raise ConfigError(f"{path} holds no settings", expected="keys and values", got=type(values).__name__)
    return values
