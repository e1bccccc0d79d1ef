"""Large rectangles painted over."""

import math

import numpy as np
from PIL import Image

from jax_mdpo.core.config import config
from jax_mdpo.data.hard_negatives.crop import Box
from jax_mdpo.data.hard_negatives.fills import Fill, colour
from jax_mdpo.data.hard_negatives.protocol import Corpus
from jax_mdpo.data.hard_negatives.ranges import Range, check_range, log_uniform, uniform


@config
class BlockMask:
    """One or several rectangles, together of a random area, painted over.

    area: least and greatest share of the image that all rectangles cover together, drawn uniformly; the default is this program's own.
    blocks: least and greatest number of rectangles, drawn uniformly. Each lies at random in a cell of its own, of equal
    areas, that the image is halved into: they never overlap, so the area is exact but for rounding to whole pixels (one at least).
    aspect: least and greatest width / height, drawn log-uniformly, as in random erasing (Zhong et al., arXiv 1708.04896); changed by as
    little as fits the rectangle into its cell. fill: "mean" of the image, "black" or "grey".
    """

    area: Range = (0.4, 0.7)
    blocks: tuple[int, int] = (1, 4)
    aspect: Range = (0.3, 1 / 0.3)
    fill: Fill = "mean"

    def __post_init__(self) -> None:
        check_range("area", self.area, at_most=1.0)
        check_range("aspect", self.aspect)
        if not 1 <= self.blocks[0] <= self.blocks[1]:
            raise ValueError(f"blocks must be a range 1 <= least <= greatest, got {self.blocks}")

    def __call__(self, image: Image.Image, rng: np.random.Generator, corpus: Corpus) -> Image.Image:
        made = image.copy()
        for box in self.boxes(image.width, image.height, rng):
            made.paste(colour(self.fill, image), box)
        return made

    def boxes(self, width: int, height: int, rng: np.random.Generator) -> list[Box]:
        """Random rectangles in an image of the given size, in pixels; fewer than `blocks` where it has fewer pixels."""
        share = uniform(self.area, rng)
        count = int(rng.integers(self.blocks[0], self.blocks[1] + 1))
        return [self._box(cell, share, rng) for cell in _cells((0, 0, width, height), count)]

    def _box(self, cell: Box, share: float, rng: np.random.Generator) -> Box:
        left, top, right, bottom = cell
        width, height = right - left, bottom - top
        area = share * width * height
        narrowest = math.ceil(area / height)  # a narrower one would be higher than the cell
        w = min(width, max(1, narrowest, round(math.sqrt(area * log_uniform(self.aspect, rng)))))
        h = max(1, round(area / w))
        left, top = left + int(rng.integers(width - w + 1)), top + int(rng.integers(height - h + 1))
        return left, top, left + w, top + h


def _cells(box: Box, count: int) -> list[Box]:
    """The box cut into `count` cells of nearly equal area, across its longer side first; fewer where it has fewer pixels."""
    left, top, right, bottom = box
    width, height = right - left, bottom - top
    if count == 1 or width * height == 1:
        return [box]
    first = count // 2
    if width >= height:
        cut = left + round(width * first / count)
        halves = (left, top, cut, bottom), (cut, top, right, bottom)
    else:
        cut = top + round(height * first / count)
        halves = (left, top, right, cut), (left, cut, right, bottom)
    return [*_cells(halves[0], first), *_cells(halves[1], count - first)]
