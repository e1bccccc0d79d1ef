"""Where the configurations lie that come with the program."""

from pathlib import Path

from jax_mdpo.core.errors import ConfigError


def config_folders() -> tuple[Path, Path]:
    """configs/ inside the package, where it is installed from a wheel, and beside it, in a checkout; one of them is there."""
    package = Path(__file__).parents[1]
    return package / "configs", package.parent / "configs"


def find_config(name: str) -> Path:
    """The file `name` of configs/."""
    for folder in config_folders():
        if (folder / name).is_file():
            return folder / name
    raise ConfigError(
        f"configs/{name} was not found", expected=" or ".join(map(str, config_folders())) + " to hold it", fix="install jax-mdpo again"
    )
