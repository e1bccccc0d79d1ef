"""`jax-mdpo demo`."""

from pathlib import Path
from typing import Annotated

import typer

from jax_mdpo.cli.app import app


@app.command()
def demo(
    to: Annotated[
        Path | None, typer.Option("--out", help="A new folder for everything that the demo makes; by default demo-run, demo-run-2, …")
    ] = None,
) -> None:
    """The whole path on a tiny model and a world of coloured shapes: train mDPO, export, compare, preview."""
    from jax_mdpo.demo.run import run_demo

    run_demo(to)
