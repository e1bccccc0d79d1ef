"""The hard negative of mDPO (Wang et al. 2024): a small random crop, blown up to the whole image."""

import math

import numpy as np
from PIL import Image

from jax_mdpo.core.config import config
from jax_mdpo.data.hard_negatives.protocol import Corpus
from jax_mdpo.data.hard_negatives.ranges import Range, check_range, log_uniform, uniform

DRAWS = 10

Box = tuple[int, int, int, int]  # left, top, right, bottom


@config
class Crop:
    """A crop of random area, shape and place, resized bicubic to the framed size.

    area: least and greatest share of the image's area, drawn uniformly. aspect: least and greatest width / height, drawn
    log-uniformly. The defaults are those of the authors' code (the paper: 0 to 20 % of the image).
    A drawn box that is wider or higher than the image is drawn again, ten times at most; then the last one is cut to the image's
    sides and centred, so that the negative never holds more of the image than `area` allows.
    """

    area: Range = (0.01, 0.2)
    aspect: Range = (3 / 4, 4 / 3)

    def __post_init__(self) -> None:
        check_range("area", self.area, at_most=1.0)
        check_range("aspect", self.aspect)

    def __call__(self, image: Image.Image, rng: np.random.Generator, corpus: Corpus) -> Image.Image:
        # Cropped first: resizing with a box would let pixels around it bleed in.
        return image.crop(self.box(image.width, image.height, rng)).resize(image.size, Image.Resampling.BICUBIC)

    def box(self, width: int, height: int, rng: np.random.Generator) -> Box:
        """A random box inside an image of the given size, in pixels."""
        for _ in range(DRAWS):
            w, h = self._sides(width * height, rng)
            if w <= width and h <= height:
                left, top = int(rng.integers(width - w + 1)), int(rng.integers(height - h + 1))
                return left, top, left + w, top + h
        w, h = min(w, width), min(h, height)
        left, top = (width - w) // 2, (height - h) // 2
        return left, top, left + w, top + h

    def _sides(self, pixels: int, rng: np.random.Generator) -> tuple[int, int]:
        area = pixels * uniform(self.area, rng)
        aspect = log_uniform(self.aspect, rng)
        return max(1, round(math.sqrt(area * aspect))), max(1, round(math.sqrt(area / aspect)))
