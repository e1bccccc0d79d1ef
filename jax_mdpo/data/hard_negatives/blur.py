"""The image out of focus: colours and layout stay, details go."""

import numpy as np
from PIL import Image, ImageFilter

from jax_mdpo.core.config import config
from jax_mdpo.data.hard_negatives.protocol import Corpus
from jax_mdpo.data.hard_negatives.ranges import Range, check_range, uniform


@config
class Blur:
    """A Gaussian blur of random strength.

    radius: least and greatest standard deviation, as a share of the image's shorter side, drawn uniformly; relative, so that it
    hides the same things at every input size. The default is this program's own: 17 to 50 of 336 pixels.
    """

    radius: Range = (0.05, 0.15)

    def __post_init__(self) -> None:
        check_range("radius", self.radius, at_most=1.0)

    def __call__(self, image: Image.Image, rng: np.random.Generator, corpus: Corpus) -> Image.Image:
        return image.filter(ImageFilter.GaussianBlur(self.deviation(image.width, image.height, rng)))

    def deviation(self, width: int, height: int, rng: np.random.Generator) -> float:
        """A random standard deviation for an image of the given size, in pixels."""
        return min(width, height) * uniform(self.radius, rng)
