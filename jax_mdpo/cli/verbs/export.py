"""`jax-mdpo export`."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from jax_mdpo.cli.app import app, out


@app.command()
def export(
    run: Annotated[Path, typer.Argument(help="A run directory of `train`.", show_default=False)],
    form: Annotated[Literal["peft", "hf"], typer.Option("--format", help="The adapter, or the merged checkpoint.", show_default=False)],
    to: Annotated[Path, typer.Option("--out", help="A new folder.", show_default=False)],
    base: Annotated[
        Literal["dequantised", "original"] | None,
        typer.Option("--base", help="After a quantised run: merge into what it was trained on (the default), or the source's weights."),
    ] = None,
) -> None:
    """Write the trained adapter, or the checkpoint with the adapter merged, for Hugging Face tools and vLLM."""
    from jax_mdpo.recipe.exporting import export as write
    from jax_mdpo.recipe.exporting import merged_into

    folder = write(run, format=form, out=to, base=base)
    out.print(f"exported: {folder}", highlight=False)
    if form == "hf":
        out.print(f"merged into {merged_into(run, base)}", highlight=False, soft_wrap=True)
