"""`jax-mdpo preview`."""

from pathlib import Path
from typing import Annotated

import typer

from jax_mdpo.cli.app import app, out
from jax_mdpo.cli.options import Config, Overrides


@app.command()
def preview(
    config: Config,
    to: Annotated[Path, typer.Option("--out", help="A .png or .html file.", show_default=False)],
    overrides: Overrides = None,
    count: Annotated[int, typer.Option("--count", help="How many pairs.", min=1)] = 8,
) -> None:
    """A contact sheet of pairs with their hard negatives and final text, as the trainer will see them."""
    from jax_mdpo.recipe.configuration import read_settings
    from jax_mdpo.recipe.preview import preview as draw

    out.print(f"preview: {draw(read_settings(config, overrides or ()), to, count=count)}", highlight=False)
