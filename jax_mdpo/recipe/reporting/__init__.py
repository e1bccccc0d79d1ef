"""Compare runs and evaluations on one page."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from jax_mdpo.core.errors import UserError, nearest
from jax_mdpo.recipe.reporting.benchmarks import benchmark_sections
from jax_mdpo.recipe.reporting.curves import curve_groups
from jax_mdpo.recipe.reporting.labels import labelled
from jax_mdpo.recipe.reporting.samples import chosen_samples
from jax_mdpo.recipe.reporting.settings import compared_settings
from jax_mdpo.recipe.reporting.sources import read_source
from jax_mdpo.recipe.reporting.speed import speeds
from jax_mdpo.recipe.reporting.subjects import Compared, described
from jax_mdpo.report.comparison import Comparison, Section, write_comparison

TITLE = "Comparison"


def report(
    sources: Sequence[str | Path],
    out: str | Path,
    *,
    baseline: str | None = None,
    images: str | Path | None = None,
    samples: int = 12,
    seed: int = 0,
    title: str | None = None,
) -> Path:
    """Writes a page that compares runs and evaluations; see `compare`.

    sources: folders, each a PATH or LABEL=PATH; those with one label are repetitions of one thing (its seeds). Without a label a folder
    is called by its name, or by as much of its path as tells it from the others.
    """
    return compare(labelled(sources), out, baseline=baseline, images=images, samples=samples, seed=seed, title=title)


def compare(
    groups: Mapping[str, Sequence[str | Path]],
    out: str | Path,
    *,
    baseline: str | None = None,
    images: str | Path | None = None,
    samples: int = 12,
    seed: int = 0,
    title: str | None = None,
    sections: Sequence[Section] = (),
) -> Path:
    """Writes a page about `groups`: label → the folders of its repetitions, each a run, an evaluation, or what holds such below it.

    baseline: the label that differences are to; by default the first. images: the folder of the benchmarks' images, for the samples.
    samples: how many items to show side by side. seed: of the bootstrap, and of which samples are shown. sections: put on top.
    Raises UserError where a folder is neither run nor evaluation, where one holds several runs, and where there is no such baseline.
    """
    if not groups:
        raise UserError("there is nothing to compare", expected="at least one folder of a run or an evaluation")
    if baseline is not None and baseline not in groups:
        raise UserError(f"there is no {baseline!r} to compare with", expected="the label of a source", fix=nearest(baseline, groups))
    subjects = [Compared(label, tuple(read_source(Path(path)) for path in paths)) for label, paths in groups.items()]
    place = 0 if baseline is None else list(groups).index(baseline)
    page = Comparison(
        title=title or TITLE,
        subjects=tuple(map(described, subjects)),
        baseline=place,
        sections=tuple(sections),
        settings=compared_settings(subjects),
        benchmarks=benchmark_sections(subjects, place, seed),
        curves=curve_groups(subjects),
        samples=chosen_samples(subjects, place, None if images is None else Path(images), samples, seed),
        speed=speeds(subjects),
    )
    write_comparison(page, Path(out))
    return Path(out)


__all__ = ["Section", "compare", "report"]
