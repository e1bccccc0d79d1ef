"""The colour of what a hard negative paints over."""

from typing import Literal

import numpy as np
from jaxtyping import Bool
from PIL import Image, ImageStat

Fill = Literal["mean", "black", "grey"]  # mean: of the image that is painted on
Colour = tuple[int, ...]  # red, green, blue, of 255

COLOURS: dict[str, Colour] = {"black": (0, 0, 0), "grey": (128, 128, 128)}


def colour(fill: Fill, image: Image.Image) -> Colour:
    """The colour to paint on an RGB image; the mean is rounded to whole steps."""
    if fill != "mean":
        return COLOURS[fill]
    return tuple(round(value) for value in ImageStat.Stat(image).mean)  # from a histogram: fast and exact


def paint(image: Image.Image, where: Bool[np.ndarray, "height width"], fill: Fill) -> Image.Image:
    """A copy of an RGB image with the pixels `where` painted."""
    pixels = np.array(image)
    pixels[where] = colour(fill, image)
    return Image.fromarray(pixels)
