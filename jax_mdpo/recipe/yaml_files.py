"""YAML files that hold settings."""

from pathlib import Path
from typing import Any

import yaml

from jax_mdpo.core.errors import ConfigError


def read_yaml(path: Path) -> dict[str, Any]:
    """A YAML file that holds a mapping."""
    try:
        values = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} cannot be read: {error}", fix="give the path of a YAML file, such as configs/demo.yaml") from None
    except yaml.YAMLError as error:
        raise ConfigError(f"{path} is not YAML: {error}") from None
    if not isinstance(values, dict):
        raise ConfigError(f"{path} holds no settings", expected="keys and values", got=type(values).__name__)
    return values
