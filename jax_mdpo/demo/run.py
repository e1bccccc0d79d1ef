"""The demo: a study of the scenes world by the model that comes with the program, and what of it one would take home."""

from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table

from jax_mdpo.recipe.configuration import read_settings
from jax_mdpo.recipe.exporting import export
from jax_mdpo.recipe.preview import preview
from jax_mdpo.recipe.shipped import find_config
from jax_mdpo.studies.grid import Cell
from jax_mdpo.studies.results import Results, results, row_of
from jax_mdpo.studies.run import run_study
from jax_mdpo.studies.settings import StudySettings, read_study
from jax_mdpo.training.run_directory import RunDirectory

STUDY = "studies/demo.yaml"
SHOWN = "mdpo"  # the run whose pairs are drawn and whose model is exported
PREVIEW, MERGED = "preview.html", "merged"


def run_demo(out: str | Path = "demo-run", overrides: Sequence[str] = ()) -> Path:
    """Trains and compares the runs of configs/studies/demo.yaml in `out`, draws mDPO's pairs, exports its model. Returns the report's path.

    overrides: "dotted.key=value", put over the study's settings. What an earlier demo in `out` finished is not done again.
    """
    console = Console(highlight=False)
    study = read_study(find_config(STUDY), [f"out={out}", *overrides])
    report = run_study(study)
    run = _shown(study)
    sheet, merged = Path(out) / PREVIEW, Path(out) / MERGED
    preview(read_settings(run.config), sheet)
    if not merged.exists():
        export(run.path, format="hf", out=merged)
    console.print(summary(results(study)))
    console.print(
        f"report: {report}\npairs:  {sheet}\nmodel:  {merged} (transformers); adapters (PEFT) in cells/…/run/adapter", soft_wrap=True
    )
    return report


def summary(found: Results) -> Table:
    """For the terminal: the headline figures, a row for each run."""
    table = Table("", box=None)
    for name in found.names:
        table.add_column(name.replace("/", " "), justify="right")
    for row in found.rows:
        table.add_row(row, *row_of(found, row))
    return table


def _shown(study: StudySettings) -> RunDirectory:
    world, seed = next(iter(study.worlds)), study.seeds[0]
    return RunDirectory(Cell(world, SHOWN, seed).folder(Path(study.out)) / "run")
