"""The command that the verbs register with, and where they print."""

import typer
from rich.console import Console

app = typer.Typer(
    name="jax-mdpo",
    help="Preference optimisation against hallucination for vision-language models: mDPO and its relatives, in JAX.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
out = Console()
