"""Where the configurations lie that come with the program."""

from pathlib import Path

import jax_mdpo
from jax_mdpo.core.errors import ConfigError


def find_config(name: str) -> Path:
    """The file `name` of configs/: inside the package where it is installed from a wheel, beside it in a checkout."""
    package = Path(jax_mdpo.__file__).parent
    for folder in (package / "configs", package.parent / "configs"):
        if (folder / name).is_file():
            return folder / name
    raise ConfigError(f"configs/{name} was not found", expected=f"it in {package} or beside it", fix="install jax-mdpo again")
