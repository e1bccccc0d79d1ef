"""Model families by the `model_type` of their configuration; imported when one is asked for."""

import importlib
import json
from pathlib import Path
from types import ModuleType
from typing import Any

from jax_mdpo.core.errors import WeightsError

FAMILIES = {"llava": "jax_mdpo.models.families.llava.family"}


def family_of(folder: Path) -> ModuleType:
    """The family module for the checkpoint in `folder`. Raises WeightsError where there is no config.json or no such family."""
    path = folder / "config.json"
    if not path.is_file():
        raise WeightsError(
            f"{folder} is no checkpoint folder", expected="a config.json in it", got="none", fix="give the folder that holds it"
        )
    kind = json.loads(path.read_text(encoding="utf-8")).get("model_type")
    if kind not in FAMILIES:
        known = " or ".join(FAMILIES)
        raise WeightsError(f"{path} describes a model that is not supported", expected=f"model_type {known}", got=f"{kind!r}")
    return importlib.import_module(FAMILIES[kind])


def published(name: str) -> tuple[ModuleType, Any] | None:
    """Family and configuration of a hub id whose sizes are known without its files."""
    families = (importlib.import_module(path) for path in FAMILIES.values())
    return next(((family, family.PUBLISHED[name]) for family in families if name in family.PUBLISHED), None)
