"""The image's patches in another order: the same colours and textures, no objects."""

import numpy as np
from einops import rearrange
from jaxtyping import Int
from PIL import Image

from jax_mdpo.core.config import config
from jax_mdpo.data.hard_negatives.grids import check_along, grid_of
from jax_mdpo.data.hard_negatives.protocol import Corpus


@config
class PatchShuffle:
    """Every patch of a grid at another patch's place.

    grid: patches along the longer side, 6 by this program's own choice. Patches have whole and equal sides; where these do not fill the
    image, the rest stays as a margin, thinner than a patch, around them. No pixel is changed but moved: the histogram stays.
    An image too small for two patches stays as it is.
    """

    grid: int = 6

    def __post_init__(self) -> None:
        check_along(self.grid, least=2)

    def __call__(self, image: Image.Image, rng: np.random.Generator, corpus: Corpus) -> Image.Image:
        columns, rows = grid_of(image.width, image.height, self.grid)
        pixels = np.array(image)
        inner = pixels[_middle(image.height, rows), _middle(image.width, columns)]
        patches = rearrange(inner, "(rows h) (columns w) rgb -> (rows columns) h w rgb", rows=rows, columns=columns)
        moved = patches[self.sources(len(patches), rng)]
        inner[:] = rearrange(moved, "(rows columns) h w rgb -> (rows h) (columns w) rgb", rows=rows, columns=columns)
        return Image.fromarray(pixels)

    def sources(self, count: int, rng: np.random.Generator) -> Int[np.ndarray, " count"]:
        """For each place the place that its patch comes from: a random cycle through all places, so that none keeps its own."""
        order = rng.permutation(count)
        sources = np.empty_like(order)
        sources[order] = np.roll(order, 1)
        return sources


def _middle(side: int, parts: int) -> slice:
    """The middle of a side, as long as whole pixels divide into `parts`."""
    start = side % parts // 2
    return slice(start, start + side - side % parts)
