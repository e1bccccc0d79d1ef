"""`jax-mdpo train`."""

from pathlib import Path
from typing import Annotated

import typer

from jax_mdpo.cli.app import app, out


@app.command()
def train(
    config: Annotated[Path, typer.Argument(help="A YAML file, such as configs/llava15_7b_mdpo.yaml.", show_default=False)],
    overrides: Annotated[
        list[str] | None, typer.Argument(metavar="[KEY=VALUE]...", help="Settings put over the file's: optimizer.learning_rate=1e-5.")
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Continue the run in `out` from its newest sound checkpoint.")] = False,
    distributed: Annotated[
        bool, typer.Option("--distributed", help="One of several processes: start jax.distributed first (launch/tpu_pod.sh does this).")
    ] = False,
) -> None:
    """Train a LoRA adapter on preference pairs; writes a run directory with metrics, checkpoints and adapter/."""
    from jax_mdpo.recipe.configuration import read_settings
    from jax_mdpo.recipe.distributed import initialize
    from jax_mdpo.recipe.training import train as run

    if distributed:
        initialize()
    folder = run(read_settings(config, overrides or ()), resume=resume)
    out.print(f"trained: {folder}\nadapter: {folder / 'adapter'}", highlight=False)
