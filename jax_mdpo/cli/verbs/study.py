"""`jax-mdpo study`."""

from pathlib import Path
from typing import Annotated

import typer

from jax_mdpo.cli.app import app, out
from jax_mdpo.cli.options import Overrides


@app.command()
def study(
    config: Annotated[Path, typer.Argument(help="The YAML file of a study, such as configs/studies/scenes_main.yaml.", show_default=False)],
    overrides: Overrides = None,
) -> None:
    """Train and evaluate a grid of runs, seeds and models, and compare them; a study that was stopped goes on where it was."""
    from jax_mdpo.studies.run import run_study
    from jax_mdpo.studies.settings import read_study

    settings = read_study(config, overrides or ())
    report = run_study(settings)
    out.print(f"report: {report}\nsummary: {report.with_name('table.md')}", highlight=False, soft_wrap=True)
