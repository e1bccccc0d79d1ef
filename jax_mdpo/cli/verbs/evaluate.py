"""`jax-mdpo eval`."""

from pathlib import Path
from typing import Annotated

import typer

from jax_mdpo.cli.app import app, out


@app.command("eval")
def evaluate(
    benchmark: Annotated[
        str, typer.Argument(help="pope, amber, chair, object-halbench, mmhal, or package.module:Class.", show_default=False)
    ],
    data: Annotated[Path, typer.Option("--data", help="The benchmark's official folder, or one of its files.", show_default=False)],
    answers: Annotated[
        list[Path], typer.Option("--answers", help="A model's answers in the official format; again for another file.", show_default=False)
    ],
    to: Annotated[Path, typer.Option("--out", help="Folder of metrics.json and items.jsonl.", show_default=False)],
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="A setting of the benchmark: similarity.model=/models/en_core_web_lg."),
    ] = None,
    only: Annotated[
        list[str] | None, typer.Option("--only", metavar="PART", help="This part alone, such as popular; again for another.")
    ] = None,
    partial: Annotated[bool, typer.Option("--partial", help="Score what can be scored; the output names what could not.")] = False,
) -> None:
    """Score a benchmark's answers as its official tool does."""
    from jax_mdpo.evaluation.metrics import notes, tables
    from jax_mdpo.recipe.configuration import with_overrides
    from jax_mdpo.recipe.evaluating import evaluate as run

    found = run(
        benchmark, answers=answers, data=data, out=to, settings=with_overrides({}, settings or ()), only=only or (), partial=partial
    )
    for table in tables(found):
        out.print(table)
    for note in notes(found):
        out.print(note, highlight=False, markup=False, soft_wrap=True)
    out.print(f"metrics: {to / 'metrics.json'}", highlight=False, soft_wrap=True)
