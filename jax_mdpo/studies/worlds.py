"""Where a study's models and data come from: a part that makes them, or the user's own files."""

import string
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from jax_mdpo.core.config import config
from jax_mdpo.core.errors import ConfigError, UserError, nearest
from jax_mdpo.scenes.preparing import SceneSettings, prepare


@runtime_checkable
class World(Protocol):
    """A @config dataclass. What it names, settings of the study may name in braces: {model}, {pairs}."""

    def prepare(self, folder: Path) -> Mapping[str, str]:
        """Makes in `folder` what is not there yet, and says where everything lies. The same settings give the same files."""


@config
class Files:
    """Files that are there already: paths by the names that the study's settings use for them."""

    paths: Mapping[str, str]

    def prepare(self, folder: Path) -> Mapping[str, str]:
        """The paths. Raises UserError where nothing stands at one; a hub id, which has no folder, is taken as it is."""
        for name, path in self.paths.items():
            if not Path(path).exists() and name != "model":
                raise UserError(f"the study's {name} is not there: {path}", fix=f"correct worlds.….paths.{name}")
        return dict(self.paths)


@config
class Scenes(SceneSettings):
    """The scenes world (jax_mdpo/scenes): rendered pictures with exact truth, a tiny model of its own, and pairs of its own captions."""

    def prepare(self, folder: Path) -> Mapping[str, str]:
        """Where everything lies, by the names in `Prepared`."""
        return {name: str(path) for name, path in vars(prepare(folder, self)).items()}


WORLDS: Mapping[str, type[World]] = {"files": Files, "scenes": Scenes}


def filled(values: Any, names: Mapping[str, str], where: str) -> Any:
    """`values` with every {name} in its strings replaced. Raises ConfigError where a name is unknown."""
    if isinstance(values, str):
        return _filled(values, names, where)
    if isinstance(values, Mapping):
        return {key: filled(value, names, f"{where}.{key}") for key, value in values.items()}
    if isinstance(values, list | tuple):
        return [filled(value, names, f"{where}.{place}") for place, value in enumerate(values)]
    return values


def _filled(text: str, names: Mapping[str, str], where: str) -> str:
    wanted = {name for _, name, _, _ in string.Formatter().parse(text) if name is not None}
    for name in sorted(wanted - set(names)):
        raise ConfigError(f"{where} names {{{name}}}, which its world does not bring", got=repr(text), fix=nearest(name, names))
    return text.format_map(names) if wanted else text
