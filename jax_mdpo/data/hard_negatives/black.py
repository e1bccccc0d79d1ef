"""No image at all, as a model sees it: black pixels."""

import numpy as np
from PIL import Image

from jax_mdpo.core.config import config
from jax_mdpo.data.hard_negatives.protocol import Corpus


@config
class Black:
    """A black image. What the model then says comes from the prompt and the language prior alone.

    Compare a view without any image, which changes the prompt's tokens too.
    """

    def __call__(self, image: Image.Image, rng: np.random.Generator, corpus: Corpus) -> Image.Image:
        return Image.new("RGB", image.size)
