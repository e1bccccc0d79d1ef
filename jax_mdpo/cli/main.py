"""`jax-mdpo`: every verb reads its arguments, calls one function of the Python face, and prints what came of it."""

import logging
import os
import sys
import traceback
from pathlib import Path
from typing import Annotated, Literal

import typer
from rich.console import Console

from jax_mdpo.core.errors import UserError

app = typer.Typer(
    name="jax-mdpo",
    help="Preference optimisation against hallucination for vision-language models: mDPO and its relatives, in JAX.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
out = Console()

# What several verbs take alike.
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


@app.command()
def train(
    config: Annotated[Path, typer.Argument(help="A YAML file, such as configs/llava15_7b_mdpo.yaml.", show_default=False)],
    overrides: Annotated[
        list[str] | None, typer.Argument(metavar="[KEY=VALUE]...", help="Settings put over the file's: optimizer.learning_rate=1e-5.")
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Continue the run in `out` from its newest sound checkpoint.")] = False,
    distributed: Annotated[
        bool, typer.Option("--distributed", help="One of several processes: start jax.distributed first (launch/tpu_pod.sh does this).")
    ] = False,
) -> None:
    """Train a LoRA adapter on preference pairs; writes a run directory with metrics, checkpoints and adapter/."""
    from jax_mdpo.recipe.configuration import read_settings
    from jax_mdpo.recipe.distributed import initialize
    from jax_mdpo.recipe.training import train as run

    if distributed:
        initialize()
    folder = run(read_settings(config, overrides or ()), resume=resume)
    out.print(f"trained: {folder}\nadapter: {folder / 'adapter'}", highlight=False)


@app.command()
def reference(
    config: Annotated[Path, typer.Argument(help="The YAML file of a run, with reference.cache set.", show_default=False)],
    overrides: Overrides = None,
    distributed: Annotated[bool, typer.Option("--distributed", help="One of several processes, as for train.")] = False,
) -> None:
    """Compute the reference's log-probs once and keep them; a stopped computation goes on where it was."""
    from jax_mdpo.recipe.configuration import read_settings
    from jax_mdpo.recipe.distributed import initialize
    from jax_mdpo.recipe.reference import reference as compute

    if distributed:
        initialize()
    out.print(f"reference cache: {compute(read_settings(config, overrides or ()))}", highlight=False)


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


@app.command()
def preview(
    config: Config,
    to: Annotated[Path, typer.Option("--out", help="A .png or .html file.", show_default=False)],
    overrides: Overrides = None,
    count: Annotated[int, typer.Option("--count", help="How many pairs.", min=1)] = 8,
) -> None:
    """A contact sheet of pairs with their hard negatives and final text, as the trainer will see them."""
    from jax_mdpo.recipe.configuration import read_settings
    from jax_mdpo.recipe.preview import preview as draw

    out.print(f"preview: {draw(read_settings(config, overrides or ()), to, count=count)}", highlight=False)


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


@app.command()
def plan(
    config: Config,
    topology: Annotated[str, typer.Option("--topology", help="v5e-16, v5p-8, v6e-8, h100, a100-40, h100x8, cpu, …", show_default=False)],
    overrides: Overrides = None,
    prefix: Annotated[int | None, typer.Option("--prefix", help="Tokens of prompt and image; by default the data's.", min=1)] = None,
    response: Annotated[int | None, typer.Option("--response", help="Tokens of a response; by default the data's.", min=1)] = None,
) -> None:
    """Memory, work and time of a run on chips that may not be here, from shapes alone: nothing is loaded or trained."""
    from jax_mdpo.recipe.configuration import read_settings
    from jax_mdpo.recipe.planning import plan as work_out

    settings = read_settings(config, overrides or ())
    with Console(stderr=True).status(f"working out the step for {topology}: a TPU's compiler takes minutes for a large model"):
        found = work_out(settings, topology, prefix=prefix, response=response)
    for line in found.lines():
        out.print(line, highlight=False, markup=False, soft_wrap=True)


@app.command()
def demo(
    to: Annotated[
        Path | None, typer.Option("--out", help="A new folder for everything that the demo makes; by default demo-run, demo-run-2, …")
    ] = None,
) -> None:
    """The whole path on a tiny model and a world of coloured shapes: train mDPO, export, compare, preview."""
    from jax_mdpo.demo.run import run_demo

    run_demo(to)


def main() -> None:
    """The entry point: a mistake of the user's is a message and exit status 2, a stop by signal its own status."""
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s: %(message)s")
    status, together = _run()
    if not together and _is_one_of_several():
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)  # an orderly exit would wait for the others, and they wait for this one
    sys.exit(status)


def _run() -> tuple[int, bool]:
    """The exit status, and whether all processes of a run end with it together. What went wrong is printed."""
    try:
        app()
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2, False
    except SystemExit as ended:  # typer's end of everything, 130 after Ctrl-C
        status = ended.code if isinstance(ended.code, int) else int(ended.code is not None)
        return status, status == 0
    except Exception as error:
        code = getattr(error, "exit_code", None)  # training.signals.Interrupted: all processes stop after the same step
        if code is not None:
            print(error, file=sys.stderr)
            return code, True
        traceback.print_exc()
        return 1, False
    return 0, True


def _is_one_of_several() -> bool:
    jax = sys.modules.get("jax")
    return jax is not None and jax.distributed.is_initialized()
