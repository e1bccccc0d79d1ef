"""Grids of nearly square cells on an image."""

import numpy as np
from jaxtyping import Bool


def grid_of(width: int, height: int, along: int) -> tuple[int, int]:
    """Columns and rows of a grid with `along` cells on the longer side, as many across as keep them nearly square.

    No cell is narrower than a pixel: a small image has fewer.
    """
    longer = max(width, height)
    columns, rows = (min(side, max(1, round(along * side / longer))) for side in (width, height))
    return columns, rows


def check_along(along: int, *, least: int) -> None:
    """Raises ValueError where a grid has too few cells."""
    if along < least:
        raise ValueError(f"grid must be at least {least} cells along the longer side, got {along}")


def spread(cells: Bool[np.ndarray, "rows columns"], width: int, height: int) -> Bool[np.ndarray, "height width"]:
    """Each cell's value for all of its pixels. Cells of an image that the grid does not divide differ by a pixel."""
    rows, columns = cells.shape
    return cells[np.arange(height) * rows // height][:, np.arange(width) * columns // width]
