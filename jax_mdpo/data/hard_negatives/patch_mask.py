"""Patches painted over at random, as in masked image modelling."""

import numpy as np
from jaxtyping import Bool
from PIL import Image

from jax_mdpo.core.config import config
from jax_mdpo.data.hard_negatives.fills import Fill, paint
from jax_mdpo.data.hard_negatives.grids import check_along, grid_of, spread
from jax_mdpo.data.hard_negatives.protocol import Corpus
from jax_mdpo.data.hard_negatives.ranges import Range, check_range, uniform


@config
class PatchMask:
    """A share of a grid's patches, chosen without order, painted over.

    share: least and greatest share of patches, drawn uniformly, then rounded to whole patches, one at least; the default, 75 %, is that
    of masked autoencoders (He et al., arXiv 2111.06377). grid: patches along the longer side; 24 are the patches of a CLIP tower at 336
    pixels, so that each of its tokens sees all of its patch or none. fill: "mean" of the image, "black" or "grey".
    """

    share: Range = (0.75, 0.75)
    grid: int = 24
    fill: Fill = "mean"

    def __post_init__(self) -> None:
        check_range("share", self.share, at_most=1.0)
        check_along(self.grid, least=1)

    def __call__(self, image: Image.Image, rng: np.random.Generator, corpus: Corpus) -> Image.Image:
        hidden = self.hidden(*grid_of(image.width, image.height, self.grid), rng)
        return paint(image, spread(hidden, image.width, image.height), self.fill)

    def hidden(self, columns: int, rows: int, rng: np.random.Generator) -> Bool[np.ndarray, "rows columns"]:
        """Which patches are painted over, at random."""
        patches = columns * rows
        count = max(1, round(patches * uniform(self.share, rng)))
        return rng.permutation(np.arange(patches) < count).reshape(rows, columns)
