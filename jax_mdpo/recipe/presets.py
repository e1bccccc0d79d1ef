"""Published objectives by name: `objectives: ue_dpo` in a run's settings."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from jax_mdpo.core.errors import ConfigError, nearest
from jax_mdpo.recipe.shipped import config_folders
from jax_mdpo.recipe.yaml_files import read_yaml

FOLDER = "objectives"
KEYS = ("objectives", "hard_negative", "noise")  # what a preset may say


def with_preset(values: Mapping[str, Any], near: Path) -> dict[str, Any]:
    """`values` with the preset that `objectives` names put under them; as they are where it names none.

    A preset is a YAML file, given by its path, from here or from the folder of the run's file (`near`), or by its name in the folder
    "objectives" there or among the configurations that come with the program.
    It holds the terms and how the images come about that they read; what the run itself says of these images stands.
    """
    name = values.get("objectives")
    if not isinstance(name, str):
        return dict(values)
    path = _found(name, near)
    preset = read_yaml(path)
    if unknown := sorted(preset.keys() - set(KEYS)):
        raise ConfigError(f"{path} holds {', '.join(unknown)}", expected=f"a preset: {', '.join(KEYS)} alone")
    said = {key: value for key, value in values.items() if key not in KEYS or value is not None}
    return {**preset, **said, "objectives": preset.get("objectives", ())}


def _found(name: str, near: Path) -> Path:
    folders = tuple(folder / FOLDER for folder in (near, *config_folders()))
    is_path = name.endswith((".yaml", ".yml"))
    places = [Path(name), near / name] if is_path else [folder / f"{name}.yaml" for folder in folders]
    for place in places:
        if place.is_file():
            return place
    known = sorted({path.stem for folder in folders for path in folder.glob("*.yaml")})
    raise ConfigError(
        f"there are no objectives of the name {name!r}",
        expected="a list of terms, for example [{name: dpo, beta: 0.1}], a preset's name or the path of its .yaml",
        got=f"no {' or '.join(dict.fromkeys(map(str, places)))}",
        fix=nearest(name, known) if known else "give the path of a preset",
    )
