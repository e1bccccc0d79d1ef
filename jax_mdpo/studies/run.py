"""A study from its settings to its report."""

import time
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import fmean

from rich.console import Console

from jax_mdpo.core.errors import RunError
from jax_mdpo.core.files import write_text
from jax_mdpo.recipe.reporting import compare
from jax_mdpo.studies.cell import check, evaluations_of, finish
from jax_mdpo.studies.grid import CELLS, Cell, baseline, cells, label
from jax_mdpo.studies.results import results, sections, table
from jax_mdpo.studies.settings import StudySettings

REPORT, RESULTS, TABLE = "report.html", "results.json", "table.md"
WORLDS = "worlds"  # the folder of what they make


def run_study(study: StudySettings, *, samples: int = 12) -> Path:
    """Finishes every cell, compares them, and returns the report's path. What was finished before is not done again.

    Beside the report stand results.json, the headline figures of every cell, and table.md, their summary. Raises RunError where `out` is
    a file, or a folder that holds something else than a study.
    """
    out, console = Path(study.out), Console(stderr=True, highlight=False)
    _refuse_foreign(out)
    brought = {name: world.prepare(out / WORLDS) for name, world in study.worlds.items()}
    grid = list(cells(study))
    for cell in grid:  # a fault in the last one's settings is said before the first one has taken its time
        check(cell, study, brought[cell.world])
    _finish_all(grid, study, brought, console)
    return write_report(study, brought, samples=samples)


def _refuse_foreign(out: Path) -> None:
    """A report.html that somebody else wrote is not to be overwritten."""
    if out.is_dir() and (not any(out.iterdir()) or any((out / name).is_dir() for name in (CELLS, WORLDS))):
        return
    if out.exists() or out.is_symlink():
        raise RunError(
            f"{out} is there already, and is no study's",
            expected="a new folder, or that of a study which goes on",
            got="a folder with other files" if out.is_dir() else "a file",
            fix="name another: out=FOLDER (jax-mdpo demo: --out FOLDER)",
        )


def _finish_all(grid: list[Cell], study: StudySettings, brought: Mapping[str, Mapping[str, str]], console: Console) -> None:
    worked: dict[bool, list[float]] = {True: [], False: []}  # seconds of the cells that this process did, with training and without
    for number, cell in enumerate(grid, start=1):
        console.print(f"cell {number} of {len(grid)}: {cell.name}{_left(grid[number - 1 :], worked)}", style="bold")
        began = time.monotonic()
        if finish(cell, study, brought[cell.world]):
            worked[cell.trains].append(time.monotonic() - began)


def _left(cells: Sequence[Cell], worked: Mapping[bool, Sequence[float]]) -> str:
    """How long these will take; nothing until one of each kind has been timed."""
    counts = Counter(cell.trains for cell in cells)
    if not all(worked[trains] for trains in counts):
        return ""
    return f" · about {_clock(sum(count * fmean(worked[trains]) for trains, count in counts.items()))} left"


def write_report(study: StudySettings, brought: Mapping[str, Mapping[str, str]], *, samples: int = 12) -> Path:
    """The report of a study whose cells are all finished. brought: the names of each world."""
    out = Path(study.out)
    groups: dict[str, list[Path]] = {}
    for cell in cells(study):
        groups.setdefault(label(cell, study), []).append(cell.folder(out))
    found = results(study)
    write_text(out / RESULTS, found.json())
    write_text(out / TABLE, table(found))
    first = evaluations_of(study, brought[next(iter(study.worlds))])
    images = next((evaluation.images for evaluation in first.values() if evaluation.images is not None), None)
    about = sections(study, found)
    return compare(groups, out / REPORT, baseline=baseline(study), images=images, samples=samples, title=study.title, sections=about)


def _clock(seconds: float) -> str:
    minutes, seconds = divmod(round(seconds), 60)
    return f"{minutes} min" if minutes else f"{seconds} s"
