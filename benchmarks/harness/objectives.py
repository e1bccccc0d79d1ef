"""The objectives that are measured: the presets of configs/objectives, over what a world's records hold."""

from functools import cache
from pathlib import Path
from typing import Any

from jax_mdpo.core.views import Need
from jax_mdpo.recipe.configuration import settings_of
from jax_mdpo.recipe.yaml_files import read_yaml

FOLDER = Path(__file__).parent.parent.parent / "configs" / "objectives"
WANTING = ("rejected_image", "other_image")  # negatives for which the records lack something


def values_of(objective: str) -> dict[str, Any]:
    """A preset's part of a run's values."""
    values = read_yaml(FOLDER / f"{objective}.yaml")
    if values.get("hard_negative", {}).get("name") in WANTING:
        values["hard_negative"] = {"name": "crop"}
    return values


@cache
def needs_of(objective: str) -> frozenset[Need]:
    """What its terms need evaluated."""
    return settings_of({"model": {"path": ""}, "data": {"path": ""}, "out": "", "steps": 1, **values_of(objective)}).needs
