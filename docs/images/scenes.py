"""Draws scenes.png: the kinds of the scenes world, partners side by side. Run `python docs/images/scenes.py`."""

from pathlib import Path

from PIL import Image, ImageFilter
from sheet import write_sheet

from jax_mdpo.core.seeds import generator
from jax_mdpo.scenes.kinds import NAMES
from jax_mdpo.scenes.picture import CELLS, render
from jax_mdpo.scenes.scene import Scene


def picture(name: str) -> Image.Image:
    """The cell of a scene in which its only object stands."""
    scene = render(Scene((name,)), generator(0, "legend", name)).filter(ImageFilter.MedianFilter(3))  # grain does not compress
    side = scene.width // CELLS
    row, column = divmod(int(generator(0, "legend", name).permutation(CELLS**2)[0]), CELLS)
    return scene.crop((column * side, row * side, (column + 1) * side, (row + 1) * side)).resize((96, 96), Image.Resampling.LANCZOS)


if __name__ == "__main__":
    write_sheet([(name, picture(name)) for name in NAMES], Path(__file__).with_suffix(".png"), columns=8)
