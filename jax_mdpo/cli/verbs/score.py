"""`jax-mdpo score`."""

from pathlib import Path
from typing import Annotated

import typer

from jax_mdpo.cli.app import app, out
from jax_mdpo.cli.options import Dtype, Images, Model, Pairs, Quantization


@app.command()
def score(
    model: Model,
    data: Pairs,
    to: Annotated[Path, typer.Option("--out", help="Where the scores go, one JSON object a line.", show_default=False)],
    adapter: Annotated[Path | None, typer.Option("--adapter", help="A PEFT adapter; its base's scores and the rewards come too.")] = None,
    images: Images = None,
    dtype: Dtype = None,
    quantization: Quantization = None,
    per_token: Annotated[bool, typer.Option("--per-token", help="Also every scored token's id and log-prob.")] = False,
    beta: Annotated[float, typer.Option("--beta", help="Of the rewards; the one the adapter was trained with.")] = 0.1,
    batch: Annotated[int, typer.Option("--batch", help="Pairs at a time.", min=1)] = 8,
) -> None:
    """Log-probabilities of each pair's answers, in nats, summed over their tokens."""
    from jax_mdpo.recipe.scoring import score as run

    scores = run(
        model,
        data,
        adapter=adapter,
        images=images,
        dtype=dtype,
        quantization=quantization,
        per_token=per_token,
        out=to,
        beta=beta,
        batch=batch,
    )
    out.print(f"scored {len(scores)} pairs: {to}", highlight=False)
