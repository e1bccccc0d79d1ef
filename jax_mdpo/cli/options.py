"""Arguments and options that several verbs take alike."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

if TYPE_CHECKING:
    from jax_mdpo.generation.settings import Decoding

Config = Annotated[Path, typer.Argument(help="The YAML file of a run.", show_default=False)]
Overrides = Annotated[list[str] | None, typer.Argument(metavar="[KEY=VALUE]...", help="Settings put over the file's.")]
Model = Annotated[str, typer.Argument(help="A checkpoint folder or a hub id.", show_default=False)]
Pairs = Annotated[Path, typer.Argument(help="Preference pairs: JSON, JSON lines or parquet.", show_default=False)]
Images = Annotated[Path | None, typer.Option("--images", help="Folder of the images; by default the data file's.")]
Dtype = Annotated[
    Literal["float32", "bfloat16", "float16"] | None, typer.Option("--dtype", help="Of weights and activations; by default as stored.")
]
Quantization = Annotated[
    Literal["int8", "nf4"] | None, typer.Option("--quantization", help="Of the decoder's linear layers, as in the run of the adapter.")
]

Adapter = Annotated[Path | None, typer.Option("--adapter", help="A PEFT adapter; it is applied without merging.")]
Batch = Annotated[int | None, typer.Option("--batch", help="How many to answer at a time; by default 8.", min=1)]
MaxTokens = Annotated[int | None, typer.Option("--max-tokens", help="Of an answer; by default 256.", min=1)]
Temperature = Annotated[float | None, typer.Option("--temperature", help="Sample; without it the likeliest token is taken.")]
TopP = Annotated[float | None, typer.Option("--top-p", help="Sample among the likeliest tokens that reach this probability.")]
TopK = Annotated[int | None, typer.Option("--top-k", help="Sample among so many likeliest tokens.")]
Seed = Annotated[int | None, typer.Option("--seed", help="Of the sampling; by default 0.")]
Beams = Annotated[int | None, typer.Option("--beams", help="More than one: beam search.", min=1)]
LengthPenalty = Annotated[float | None, typer.Option("--length-penalty", help="Of beam search; by default 1.")]


def given(**options: Any) -> dict[str, Any]:
    """The options that the command line names; the others have their default elsewhere."""
    return {name: value for name, value in options.items() if value is not None}


def decoding(**options: Any) -> "Decoding":
    """How answers are chosen, from the options that were given."""
    from jax_mdpo.core.config import validate
    from jax_mdpo.generation.settings import Decoding

    return validate(Decoding, given(**options), where="the command line")
