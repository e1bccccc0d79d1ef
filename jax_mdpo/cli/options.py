"""Arguments and options that several verbs take alike."""

from pathlib import Path
from typing import Annotated, Literal

import typer

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
