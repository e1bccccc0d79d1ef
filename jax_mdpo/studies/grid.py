"""The cells of a study: every run on every world, each with every seed."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from jax_mdpo.studies.settings import StudySettings

CELLS = "cells"  # the folder of all cells


@dataclass(frozen=True)
class Cell:
    """One point of the grid. seed: None for a run that trains nothing, and so is the same for every seed."""

    world: str
    run: str
    seed: int | None

    @property
    def trains(self) -> bool:
        """Whether there is anything to train."""
        return self.seed is not None

    @property
    def name(self) -> str:
        """For people: "mdpo, seed 2, first"."""
        return ", ".join([self.run, *([] if self.seed is None else [f"seed {self.seed}"]), self.world])

    def folder(self, out: Path) -> Path:
        """Where its run and its evaluations lie."""
        return out / CELLS / self.world / (self.run if self.seed is None else f"{self.run}-{self.seed}")


def label(cell: Cell, study: StudySettings) -> str:
    """What the cell is a repetition of."""
    return cell.run if study.worlds_are == "repetitions" else f"{cell.run}, {cell.world}"


def baseline(study: StudySettings) -> str:
    """The label that the others are compared with."""
    return label(Cell(next(iter(study.worlds)), study.baseline, None), study)


def cells(study: StudySettings) -> Iterator[Cell]:
    """World by world, so that one model is at hand; within it the first seed of all runs first, so that a study says something early."""
    for world in study.worlds:
        untrained = [run for run, changes in study.runs.items() if changes is None]
        yield from (Cell(world, run, None) for run in untrained)
        for seed in study.seeds:
            yield from (Cell(world, run, seed) for run, changes in study.runs.items() if changes is not None)
