"""From a run directory to what others load: the adapter, or the merged checkpoint."""

from pathlib import Path
from typing import Literal

from jax_mdpo.core.errors import RunError, UserError
from jax_mdpo.exporting.merged import export_merged
from jax_mdpo.lora.peft_files import AdapterFiles, read_adapter, write_adapter
from jax_mdpo.models.families import family_of
from jax_mdpo.recipe.configuration import read_settings
from jax_mdpo.recipe.settings import ModelSettings
from jax_mdpo.training.run_directory import RunDirectory
from jax_mdpo.weights.files import CheckpointFiles
from jax_mdpo.weights.hub import resolve
from jax_mdpo.weights.tables import linear_modules

FORMATS = ("peft", "hf")


def export(run: str | Path, *, format: Literal["peft", "hf"], out: str | Path) -> Path:
    """Writes the trained adapter of a run ("peft"), or its base checkpoint with the adapter merged ("hf"), into a new folder.

    The merged checkpoint has the source's key layout, dtype, division into files, tokenizer and processor files.
    Raises RunError where the run has not ended, UserError where `out` is in the way.
    """
    if format not in FORMATS:
        raise UserError("the export format is not known", expected=" or ".join(FORMATS), got=repr(format))
    folder = RunDirectory(Path(run))
    if not folder.adapter.is_dir():
        raise RunError(
            f"{folder.path} holds no trained adapter",
            expected=f"the folder {folder.adapter.name}, which `train` writes at its end",
            fix="continue the run with --resume until it ends" if folder.config.is_file() else "give a run directory of `train`",
        )
    model = read_settings(folder.config).model
    source = resolve(model.path, model.revision)
    adapter = _trained(folder, source)
    if format == "peft":
        _write_peft(adapter, model, Path(out))
    else:
        export_merged(source, Path(out), factors=adapter.factors, targets=adapter.targets)
    return Path(out)


def _trained(folder: RunDirectory, source: Path) -> AdapterFiles:
    family = family_of(source)
    table = family.table(family.configuration(source, family.processor(source)))
    return read_adapter(folder.adapter, list(linear_modules(table)), base=CheckpointFiles.open(source))


def _write_peft(adapter: AdapterFiles, model: ModelSettings, out: Path) -> None:
    write_adapter(
        out,
        factors=adapter.factors,
        targets=adapter.targets,
        lora_dropout=adapter.settings.lora_dropout,
        base_model=model.path,
        revision=model.revision,
    )
