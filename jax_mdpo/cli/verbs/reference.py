"""`jax-mdpo reference`."""

from pathlib import Path
from typing import Annotated

import typer

from jax_mdpo.cli.app import app, out
from jax_mdpo.cli.options import Overrides


@app.command()
def reference(
    config: Annotated[Path, typer.Argument(help="The YAML file of a run, with reference.cache set.", show_default=False)],
    overrides: Overrides = None,
    distributed: Annotated[bool, typer.Option("--distributed", help="One of several processes, as for train.")] = False,
) -> None:
    """Compute the reference's log-probs once and keep them; a stopped computation goes on where it was."""
    from jax_mdpo.recipe.configuration import read_settings
    from jax_mdpo.recipe.distributed import initialize
    from jax_mdpo.recipe.reference import reference as compute

    if distributed:
        initialize()
    out.print(f"reference cache: {compute(read_settings(config, overrides or ()))}", highlight=False)
