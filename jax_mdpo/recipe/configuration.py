"""From a YAML file and key=value overrides to settings, and back to the resolved file that a run keeps."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from jax_mdpo.core.config import validate
from jax_mdpo.core.errors import ConfigError
from jax_mdpo.recipe import naming
from jax_mdpo.recipe.presets import with_preset
from jax_mdpo.recipe.settings import RunSettings
from jax_mdpo.recipe.yaml_files import read_yaml, spelled


def read_settings(path: Path, overrides: Sequence[str] = ()) -> RunSettings:
    """The settings in a YAML file, on its `base` if it names one, with overrides such as "optimizer.learning_rate=1e-5" put over them.

    `objectives` itself comes first: what it names decides which preset the others reach into.
    """
    named = [override for override in overrides if override.startswith("objectives=")]
    values = with_preset(with_overrides(read_yaml(path), named), path.parent)
    values = with_overrides(values, [override for override in overrides if override not in named])
    return settings_of(values, where=spelled(path))


def with_overrides(values: Mapping[str, Any], overrides: Sequence[str]) -> dict[str, Any]:
    """`values` with each "dotted.key=value" set; the value is read as YAML, so 3, true, null and [1, 2] are what they look like."""
    result = dict(values)
    for override in overrides:
        key, equals, text = override.partition("=")
        if not equals or not key:
            raise ConfigError(f"{override!r} is not an override", expected="key=value, for example optimizer.learning_rate=1e-5")
        try:
            value = yaml.safe_load(text)
        except yaml.YAMLError as error:
            raise ConfigError(f"the value of {override!r} is not YAML: {error}") from None
        result = _set(result, key.split("."), value, override)
    return result


def _set(values: Mapping[str, Any], path: list[str], value: Any, override: str) -> dict[str, Any]:
    first, *rest = path
    if not rest:
        return {**values, first: value}
    inner = values.get(first)
    if isinstance(inner, list) and rest[0].isdigit() and int(rest[0]) < len(inner):
        position, *deeper = rest
        changed = list(inner)
        changed[int(position)] = _set(inner[int(position)], deeper, value, override) if deeper else value
        return {**values, first: changed}
    if inner is not None and not isinstance(inner, Mapping):
        raise ConfigError(f"{override!r} reaches into {first!r}, which is no mapping", got=repr(inner))
    return {**values, first: _set(inner or {}, rest, value, override)}


def settings_of(values: Mapping[str, Any], *, where: str = "the settings") -> RunSettings:
    """Settings from plain values: every name becomes its object, every fault is named with its key."""
    values = with_preset(values, Path())
    terms = values.get("objectives", ())
    if not isinstance(terms, list | tuple):
        raise ConfigError(f"{where}: 'objectives' must be a list of terms, for example [{{name: dpo, beta: 0.1}}]", got=repr(terms))
    return validate(RunSettings, naming.made(values, where), where=where)


def plain(settings: RunSettings) -> dict[str, Any]:
    """The settings as plain values with every default written out: settings_of gives the same settings back."""
    return naming.plain(settings)
