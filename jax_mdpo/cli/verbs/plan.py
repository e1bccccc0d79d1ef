"""`jax-mdpo plan`."""

from typing import Annotated

import typer
from rich.console import Console

from jax_mdpo.cli.app import app, out
from jax_mdpo.cli.options import Config, Overrides


@app.command()
def plan(
    config: Config,
    topology: Annotated[str, typer.Option("--topology", help="v5e-16, v5p-8, v6e-8, h100, a100-40, h100x8, cpu, …", show_default=False)],
    overrides: Overrides = None,
    prefix: Annotated[int | None, typer.Option("--prefix", help="Tokens of prompt and image; by default the data's.", min=1)] = None,
    response: Annotated[int | None, typer.Option("--response", help="Tokens of a response; by default the data's.", min=1)] = None,
) -> None:
    """Memory, work and time of a run on chips that may not be here, from shapes alone: nothing is loaded or trained."""
    from jax_mdpo.recipe.configuration import read_settings
    from jax_mdpo.recipe.planning import plan as work_out

    settings = read_settings(config, overrides or ())
    with Console(stderr=True).status(f"working out the step for {topology}: compiling a large model takes up to minutes"):
        found = work_out(settings, topology, prefix=prefix, response=response)
    for line in found.lines():
        out.print(line, highlight=False, markup=False, soft_wrap=True)
