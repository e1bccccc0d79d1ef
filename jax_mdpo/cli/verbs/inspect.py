"""`jax-mdpo inspect`."""

from pathlib import Path
from typing import Annotated

import typer

from jax_mdpo.cli.app import app, out
from jax_mdpo.cli.options import Dtype, Images, Pairs, Quantization


@app.command()
def inspect(
    model: Annotated[str, typer.Argument(help="A checkpoint folder or a hub id: the reference.", show_default=False)],
    data: Pairs,
    id: Annotated[str, typer.Option("--id", help="Of the pair; its row number where the data brings none.", show_default=False)],
    to: Annotated[Path, typer.Option("--out", help="An .html file.", show_default=False)],
    overrides: Annotated[
        list[str] | None,
        typer.Argument(metavar="[KEY=VALUE]...", help="hard_negative, noise, weights, beta, seed, epoch: weights.alpha=0.15"),
    ] = None,
    adapter: Annotated[Path | None, typer.Option("--adapter", help="A PEFT adapter: the policy.")] = None,
    images: Images = None,
    run: Annotated[Path | None, typer.Option("--config", help="The YAML file of a run, whose hard negative, noise, … are taken.")] = None,
    dtype: Dtype = None,
    quantization: Quantization = None,
) -> None:
    """A page about one pair: the variants of its image, and every token of its answers coloured by what the method sees in it."""
    from jax_mdpo.recipe.inspection import InspectionSettings
    from jax_mdpo.recipe.inspection import inspect as look

    settings = InspectionSettings.read(run, overrides or ())
    page = look(model, data, id, out=to, adapter=adapter, images=images, dtype=dtype, quantization=quantization, settings=settings)
    out.print(f"page: {page}", highlight=False)
