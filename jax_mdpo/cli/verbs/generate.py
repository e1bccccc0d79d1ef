"""`jax-mdpo generate`."""

from pathlib import Path
from typing import Annotated

import typer

from jax_mdpo.cli.app import app, out
from jax_mdpo.cli.options import Dtype, Model, Quantization
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
    batch: Annotated[int, typer.Option("--batch", help="Requests of --data at a time.", min=1)] = 8,
    adapter: Annotated[Path | None, typer.Option("--adapter", help="A PEFT adapter; it is applied without merging.")] = None,
    max_tokens: Annotated[int, typer.Option("--max-tokens", help="Of an answer.", min=1)] = 256,
    temperature: Annotated[float | None, typer.Option("--temperature", help="Sample; without it the likeliest token is taken.")] = None,
    top_p: Annotated[float | None, typer.Option("--top-p", help="Sample among the likeliest tokens that reach this probability.")] = None,
    top_k: Annotated[int | None, typer.Option("--top-k", help="Sample among so many likeliest tokens.")] = None,
    seed: Annotated[int | None, typer.Option("--seed", help="Of the sampling; by default 0.")] = None,
    beams: Annotated[int, typer.Option("--beams", help="More than one: beam search.", min=1)] = 1,
    length_penalty: Annotated[float | None, typer.Option("--length-penalty", help="Of beam search; by default 1.")] = None,
    dtype: Dtype = None,
    quantization: Quantization = None,
) -> None:
    """Answer one question, printed as it comes, or a file of them."""
    from jax_mdpo.core.config import validate
    from jax_mdpo.generation.settings import Decoding
    from jax_mdpo.recipe.generating import generate_file, stream

    given = {"max_tokens": max_tokens, "temperature": temperature, "top_p": top_p, "top_k": top_k, "seed": seed, "beams": beams}
    settings = validate(Decoding, {**given, "length_penalty": length_penalty}, where="the command line")
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
            batch=batch,
            skip_bad=skip_bad,
        )
        out.print(f"answered {found.answered} requests: {to}", highlight=False)
        if found.skipped:
            out.print(f"skipped {found.skipped} requests: {found.listed}", highlight=False)
    elif prompt is not None and data is None and to is None and images is None and not skip_bad:
        for piece in stream(model, prompt, image, settings, adapter=adapter, dtype=dtype, quantization=quantization):
            print(piece, end="", flush=True)
        print()
    else:
        raise UserError("these options do not go together", expected="--prompt, with --image or without, or --data and --out")
