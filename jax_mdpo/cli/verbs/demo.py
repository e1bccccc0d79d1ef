"""`jax-mdpo demo`."""

from pathlib import Path
from typing import Annotated

import typer

from jax_mdpo.cli.app import app


@app.command()
def demo(
    to: Annotated[Path, typer.Option("--out", help="The folder of everything that the demo makes; one that was cut off goes on.")] = Path(
        "demo-run"
    ),
) -> None:
    """Does it hallucinate less? DPO, DPO without image and mDPO on a tiny model and a world of coloured shapes, and one page about them."""
    from jax_mdpo.demo.run import run_demo

    run_demo(to)
