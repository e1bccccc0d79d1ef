"""`jax-mdpo report`."""

from pathlib import Path
from typing import Annotated

import typer

from jax_mdpo.cli.app import app, out


@app.command()
def report(
    sources: Annotated[
        list[str],
        typer.Argument(metavar="[LABEL=]FOLDER...", help="Runs, evaluations, or what holds them; several with one LABEL are its seeds."),
    ],
    to: Annotated[Path, typer.Option("--out", help="An .html file.", show_default=False)],
    baseline: Annotated[
        str | None, typer.Option("--baseline", metavar="LABEL", help="What differences are to; by default the first.", show_default=False)
    ] = None,
    images: Annotated[Path | None, typer.Option("--images", help="The folder of the benchmarks' images.")] = None,
    samples: Annotated[int, typer.Option("--samples", min=0, help="How many items to show side by side.")] = 12,
    seed: Annotated[int, typer.Option("--seed", help="Of the bootstrap, and of which samples are shown.")] = 0,
    title: Annotated[str | None, typer.Option("--title", help="Of the page.")] = None,
) -> None:
    """A page that compares runs and evaluations: figures with intervals, curves, samples, configurations, speed."""
    from jax_mdpo.recipe.reporting import report as write

    page = write(sources, to, baseline=baseline, images=images, samples=samples, seed=seed, title=title)
    out.print(f"page: {page}", highlight=False, soft_wrap=True)
