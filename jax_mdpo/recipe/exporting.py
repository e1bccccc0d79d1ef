"""From a run directory to what others load: the adapter, or the merged checkpoint."""

from pathlib import Path
from typing import Literal, get_args

from jax_mdpo.core.errors import RunError, UserError
from jax_mdpo.exporting.merged import export_merged
from jax_mdpo.lora.peft_files import AdapterFiles, read_adapter, write_adapter
from jax_mdpo.models.checkpoint import table_of
from jax_mdpo.models.families import family_of
from jax_mdpo.recipe.configuration import read_settings
from jax_mdpo.recipe.settings import ModelSettings
from jax_mdpo.training.run_directory import RunDirectory
from jax_mdpo.weights.files import CheckpointFiles
from jax_mdpo.weights.hub import resolve
from jax_mdpo.weights.tables import formats, linear_modules

FORMATS = ("peft", "hf")
Base = Literal["dequantised", "original"]


def export(run: str | Path, *, format: Literal["peft", "hf"], out: str | Path, base: Base | None = None) -> Path:
    """Writes the trained adapter of a run ("peft"), or its base checkpoint with the adapter merged ("hf"), into a new folder.

    The merged checkpoint has the source's key layout, dtype, division into files, tokenizer and processor files.
    base: where the run quantised its base, the adapter is merged into what it was trained on, the quantised weights "dequantised"
    (so by default), or into the source's "original" ones, from which it was not trained.
    Raises RunError where the run has not ended, UserError where `out` is in the way, or `base` chooses where there is no choice.
    """
    if format not in FORMATS:
        raise UserError("the export format is not known", expected=" or ".join(FORMATS), got=repr(format))
    folder = _finished(run)
    model = read_settings(folder.config).model
    _refuse_idle(base, format, model)
    source = resolve(model.path, model.revision)
    family = family_of(source)
    table = table_of(family, family.configuration(source, family.processor(source)), model.quantization)
    adapter = read_adapter(folder.adapter, list(linear_modules(table)), base=CheckpointFiles.open(source))
    if format == "peft":
        _write_peft(adapter, model, Path(out))
    else:
        dequantised = {} if base == "original" else formats(table)
        export_merged(source, Path(out), factors=adapter.factors, targets=adapter.targets, dequantised=dequantised)
    return Path(out)


def merged_into(run: str | Path, base: Base | None) -> str:
    """What `export` merges the adapter into, in words."""
    form = read_settings(RunDirectory(Path(run)).config).model.quantization
    if form is None:
        return "the source's weights"
    if base == "original":
        return f"the source's own weights, though the adapter was trained on them in {form}"
    return f"the weights that the adapter was trained on, dequantised from {form} (--base original: into the source's own)"


def _refuse_idle(base: Base | None, format: str, model: ModelSettings) -> None:
    if base is not None and base not in get_args(Base):
        raise UserError("the base is not known", expected=" or ".join(get_args(Base)), got=repr(base))
    if base is not None and (format == "peft" or model.quantization is None):
        reason = "an adapter is not merged into anything" if format == "peft" else "the run did not quantise its base"
        raise UserError(f"base = {base!r} chooses nothing: {reason}", fix="leave it out")


def _finished(run: str | Path) -> RunDirectory:
    folder = RunDirectory(Path(run))
    if not folder.adapter.is_dir():
        raise RunError(
            f"{folder.path} holds no trained adapter",
            expected=f"the folder {folder.adapter.name}, which `train` writes at its end",
            fix="continue the run with --resume until it ends" if folder.config.is_file() else "give a run directory of `train`",
        )
    return folder


def _write_peft(adapter: AdapterFiles, model: ModelSettings, out: Path) -> None:
    write_adapter(
        out,
        factors=adapter.factors,
        targets=adapter.targets,
        lora_dropout=adapter.settings.lora_dropout,
        base_model=model.path,
        revision=model.revision,
    )
