"""The image turned: everything is there, but not where an answer says it is."""

from typing import Literal

import numpy as np
from PIL import Image

from jax_mdpo.core.config import config
from jax_mdpo.data.hard_negatives.fills import Fill, colour
from jax_mdpo.data.hard_negatives.protocol import Corpus
from jax_mdpo.data.hard_negatives.ranges import Range, uniform

QUARTERS = (90.0, 180.0, 270.0)


@config
class Rotation:
    """A turn around the centre, in a frame of the same size.

    angle: "quarters" (90, 180 or 270 degrees, equally likely), or the least and greatest angle in degrees, counter-clockwise, drawn
    uniformly. fill: the colour of corners that nothing of the image covers; what leaves the frame is lost. Quarters of a square
    image lose nothing and interpolate nothing; other turns are resampled bicubically. The defaults are this program's own.
    """

    angle: Literal["quarters"] | Range = "quarters"
    fill: Fill = "mean"

    def __post_init__(self) -> None:
        if not isinstance(self.angle, str) and not -360 <= self.angle[0] <= self.angle[1] <= 360:
            raise ValueError(f"angle must be a range of degrees -360 <= least <= greatest <= 360, got {self.angle}")

    def __call__(self, image: Image.Image, rng: np.random.Generator, corpus: Corpus) -> Image.Image:
        return image.rotate(self.degrees(rng), Image.Resampling.BICUBIC, fillcolor=colour(self.fill, image))

    def degrees(self, rng: np.random.Generator) -> float:
        """A random angle, counter-clockwise."""
        return float(rng.choice(QUARTERS)) if isinstance(self.angle, str) else uniform(self.angle, rng)
