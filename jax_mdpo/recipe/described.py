"""What is known of a model from its configuration alone."""

import json
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import jax.numpy as jnp
import numpy as np

from jax_mdpo.core.errors import WeightsError
from jax_mdpo.models.families import family_of, published
from jax_mdpo.recipe.settings import ModelSettings
from jax_mdpo.weights.hub import resolve


@dataclass(frozen=True)
class Description:
    """folder: with the configuration and the processor's files; none where the sizes are those of a published checkpoint."""

    folder: Path | None
    family: ModuleType
    config: Any
    dtype: np.dtype


def describe(model: ModelSettings) -> Description:
    """The model's family, sizes and dtype, from a folder with a config.json, a published checkpoint's id, or the hub; no weights.

    Raises WeightsError where the configuration leaves the dtype open and the settings do too.
    """
    known = None if model.revision or Path(model.path).is_dir() else published(model.path)
    if known is not None:
        return Description(None, *known, np.dtype(jnp.dtype(model.dtype or "float16")))
    folder = resolve(model.path, model.revision, weights=False)
    family = family_of(folder)
    return Description(folder, family, family.shapes(folder), _dtype(model, folder))


def _dtype(model: ModelSettings, folder: Path) -> np.dtype:
    stored = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    name = model.dtype or stored.get("dtype", stored.get("torch_dtype"))
    if name is None:
        raise WeightsError(f"{folder / 'config.json'} names no dtype", fix="set model.dtype, for example bfloat16")
    return np.dtype(jnp.dtype(name))
