"""A sheet of labelled pictures, as the documents show them."""

from pathlib import Path

from PIL import Image

from jax_mdpo.report.picture import GROUND, Row

WIDTH, GAP = 820, 20  # pixels
COLOURS = 96  # of the palette


def write_sheet(panels: list[tuple[str, Image.Image]], path: Path, *, columns: int) -> None:
    """A PNG file of the panels, so many side by side, each with its label below."""
    rows = [Row(tuple(panels[start : start + columns]), WIDTH - 2 * GAP, columns) for start in range(0, len(panels), columns)]
    sheet = Image.new("RGB", (WIDTH, sum(row.height for row in rows) + GAP * (len(rows) + 1)), GROUND)
    top = GAP
    for row in rows:
        row.draw(sheet, GAP, top)
        top += row.height + GAP
    sheet.quantize(COLOURS, Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE).save(path, optimize=True)
