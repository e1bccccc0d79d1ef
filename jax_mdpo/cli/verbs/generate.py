"""`jax-mdpo generate`."""

from pathlib import Path
from typing import Annotated

import typer

from jax_mdpo.cli.app import app, out
from jax_mdpo.cli.options import (
    Adapter,
    Batch,
    Beams,
    Dtype,
    LengthPenalty,
    MaxTokens,
    Model,
    Quantization,
    Seed,
    Temperature,
    TopK,
    TopP,
    decoding,
    given,
)
from jax_mdpo.core.errors import UserError


@app.command()
def generate(
    model: Model,
    prompt: Annotated[str | None, typer.Option("--prompt", help="A question; its answer is printed as it comes.")] = None,
    image: Annotated[Path | None, typer.Option("--image", help="The image that --prompt is about.")] = None,
    data: Annotated[Path | None, typer.Option("--data", help="Many requests: JSON lines with id, image and prompt.")] = None,
    to: Annotated[Path | None, typer.Option("--out", help="Where the answers to --data go; a file that was begun is continued.")] = None,
    images: Annotated[Path | None, typer.Option("--images", help="Folder of the images of --data; by default the data file's.")] = None,
    skip_bad: Annotated[bool, typer.Option("--skip-bad", help="List requests of --data that cannot be used instead of stopping.")] = False,
    batch: Batch = None,
    adapter: Adapter = None,
    max_tokens: MaxTokens = None,
    temperature: Temperature = None,
    top_p: TopP = None,
    top_k: TopK = None,
    seed: Seed = None,
    beams: Beams = None,
    length_penalty: LengthPenalty = None,
    dtype: Dtype = None,
    quantization: Quantization = None,
) -> None:
    """Answer one question, printed as it comes, or a file of them."""
    from jax_mdpo.recipe.generating import generate_file, stream

    settings = decoding(
        max_tokens=max_tokens, temperature=temperature, top_p=top_p, top_k=top_k, seed=seed, beams=beams, length_penalty=length_penalty
    )
    if data is not None and to is not None and prompt is None and image is None:
        found = generate_file(
            model,
            data,
            to,
            settings,
            adapter=adapter,
            images=images,
            dtype=dtype,
            quantization=quantization,
            skip_bad=skip_bad,
            **given(batch=batch),
        )
        out.print(f"answered {found.answered} requests: {to}", highlight=False)
        if found.skipped:
            out.print(f"skipped {found.skipped} requests: {found.listed}", highlight=False)
    elif prompt is not None and data is None and to is None and images is None and batch is None and not skip_bad:
        for piece in stream(model, prompt, image, settings, adapter=adapter, dtype=dtype, quantization=quantization):
            print(piece, end="", flush=True)
        print()
    else:
        raise UserError("these options do not go together", expected="--prompt, with --image or without, or --data and --out")
