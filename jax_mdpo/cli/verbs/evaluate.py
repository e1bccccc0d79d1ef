"""`jax-mdpo eval`."""

from pathlib import Path
from typing import Annotated, Any

import typer

from jax_mdpo.cli.app import app, out
from jax_mdpo.cli.options import (
    Adapter,
    Batch,
    Beams,
    Dtype,
    LengthPenalty,
    MaxTokens,
    Quantization,
    Seed,
    Temperature,
    TopK,
    TopP,
    decoding,
    given,
)
from jax_mdpo.core.errors import UserError


@app.command("eval")
def evaluate(
    benchmark: Annotated[
        str,
        typer.Argument(help="pope, amber, chair, object-halbench, mmhal, pairs, human, or package.module:Class.", show_default=False),
    ],
    data: Annotated[
        Path,
        typer.Option(
            "--data", help="The benchmark's official folder, or one of its files; held-out pairs; a page's key.", show_default=False
        ),
    ],
    to: Annotated[Path, typer.Option("--out", help="Folder of metrics.json, items.jsonl and a model's answers.", show_default=False)],
    model: Annotated[str | None, typer.Argument(help="Who answers: a checkpoint folder or a hub id.", show_default=False)] = None,
    answers: Annotated[
        list[Path] | None, typer.Option("--answers", help="In MODEL's place: answers in the official format; again for another file.")
    ] = None,
    images: Annotated[Path | None, typer.Option("--images", help="Folder of the benchmark's images.")] = None,
    adapter: Adapter = None,
    append: Annotated[str | None, typer.Option("--append", help="Text after each question: $'\\nAnswer with a single word.'")] = None,
    sample: Annotated[int | None, typer.Option("--sample", help="Ask so many of the questions, drawn at random.", min=1)] = None,
    max_tokens: MaxTokens = None,
    temperature: Temperature = None,
    top_p: TopP = None,
    top_k: TopK = None,
    seed: Seed = None,
    beams: Beams = None,
    length_penalty: LengthPenalty = None,
    batch: Batch = None,
    dtype: Dtype = None,
    quantization: Quantization = None,
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="A setting of the benchmark: similarity.model=/models/en_core_web_lg."),
    ] = None,
    only: Annotated[
        list[str] | None, typer.Option("--only", metavar="PART", help="This part alone, such as popular; again for another.")
    ] = None,
    partial: Annotated[bool, typer.Option("--partial", help="Score what can be scored; the output names what could not.")] = False,
) -> None:
    """Ask a model a benchmark's questions, or take answers that exist, and score them as the official tool does."""
    from jax_mdpo.recipe.configuration import with_overrides

    choosing = given(
        max_tokens=max_tokens, temperature=temperature, top_p=top_p, top_k=top_k, seed=seed, beams=beams, length_penalty=length_penalty
    )
    asking = given(images=images, adapter=adapter, append=append, sample=sample, batch=batch, dtype=dtype, quantization=quantization)
    scoring: dict[str, Any] = {"settings": with_overrides({}, settings or ()), "only": only or (), "partial": partial}
    if model is not None and benchmark == "pairs" and not answers:
        from jax_mdpo.recipe.pairs import evaluate_pairs

        judging = {name: asking.pop(name) for name in ("images", "adapter", "batch", "dtype", "quantization") if name in asking}
        _refuse([*asking, *choosing, *(name for name, value in scoring.items() if value)], "pairs are judged by their answers' log-probs")
        found = evaluate_pairs(model, data, to, **judging)
    elif benchmark == "human" and model is None and answers:
        from jax_mdpo.recipe.human import judge_by_humans

        _refuse([*asking, *choosing, *(name for name, value in scoring.items() if value)], "people have judged")
        found = judge_by_humans(answers, data, to)
    elif model is not None and not answers:
        from jax_mdpo.recipe.answering import evaluate_model

        found = evaluate_model(benchmark, model, data=data, out=to, decoding=decoding(**choosing), **asking, **scoring)
    elif model is None and answers:
        from jax_mdpo.recipe.evaluating import evaluate as run

        _refuse([*asking, *choosing], "the answers exist")
        found = run(benchmark, answers=answers, data=data, out=to, **scoring)
    else:
        raise UserError(
            "who answers is not clear" if model is None else "a model and answers that exist do not go together",
            expected="MODEL, which is asked, or --answers, which are taken as they are",
            got="neither" if model is None else f"MODEL {model} and --answers",
        )
    _print(found, to)


def _refuse(names: list[str], why: str) -> None:
    if names:
        options = ", ".join("--set" if name == "settings" else f"--{name.replace('_', '-')}" for name in names)
        raise UserError(f"{options}: nothing is asked, {why}", fix="leave out what belongs to asking a model")


def _print(found: dict[str, Any], to: Path) -> None:
    from jax_mdpo.evaluation.metrics import notes, tables

    for table in tables(found):
        out.print(table)
    for note in notes(found):
        out.print(note, highlight=False, markup=False, soft_wrap=True)
    out.print(f"metrics: {to / 'metrics.json'}", highlight=False, soft_wrap=True)
