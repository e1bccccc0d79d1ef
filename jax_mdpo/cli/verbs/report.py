"""`jax-mdpo report`."""

from pathlib import Path
from typing import Annotated

import typer

from jax_mdpo.cli.app import app, out
from jax_mdpo.cli.options import given
from jax_mdpo.core.errors import UserError


@app.command()
def report(
    sources: Annotated[
        list[str],
        typer.Argument(metavar="[LABEL=]FOLDER...", help="Runs, evaluations, or what holds them; several with one LABEL are its seeds."),
    ],
    to: Annotated[Path, typer.Option("--out", help="An .html file.", show_default=False)],
    human: Annotated[
        int | None, typer.Option("--human", metavar="N", help="A blind page instead: people compare N answers of two evaluations.", min=1)
    ] = None,
    baseline: Annotated[
        str | None, typer.Option("--baseline", metavar="LABEL", help="What differences are to; by default the first.", show_default=False)
    ] = None,
    images: Annotated[Path | None, typer.Option("--images", help="The folder of the benchmarks' images.")] = None,
    samples: Annotated[
        int | None, typer.Option("--samples", min=0, help="How many items to show side by side; by default 12.", show_default=False)
    ] = None,
    seed: Annotated[int, typer.Option("--seed", help="Of all that is drawn.")] = 0,
    title: Annotated[str | None, typer.Option("--title", help="Of the page.")] = None,
) -> None:
    """A page that compares runs and evaluations: figures with intervals, curves, samples, configurations, speed."""
    comparing = given(baseline=baseline, samples=samples, title=title)
    if human is None:
        from jax_mdpo.recipe.reporting import report as write

        out.print(f"page: {write(sources, to, images=images, seed=seed, **comparing)}", highlight=False, soft_wrap=True)
        return
    from jax_mdpo.recipe.human import human_page, key_of

    if comparing:
        raise UserError(f"{', '.join(f'--{name}' for name in comparing)} and --human do not go together", fix="leave one of them out")
    if len(sources) != 2 or images is None:
        got = f"{len(sources)} folders" + ("" if images else " without --images")
        raise UserError("people compare two evaluations, with their images", expected="two folders, and --images", got=got)
    first, second = map(Path, sources)
    page = human_page(first, second, to, images=images, count=human, seed=seed)
    out.print(f"page: {page}\nkey, not for the judges: {key_of(page)}", highlight=False, soft_wrap=True)
