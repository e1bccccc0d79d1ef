"""The hard negative that a data set brings itself."""

from typing import ClassVar

import numpy as np
from PIL import Image

from jax_mdpo.core.config import config
from jax_mdpo.data.hard_negatives.protocol import Corpus


@config
class RejectedImage:
    """The record's own `rejected_image`, framed like any other. Raises RecordError where it has none."""

    needs_rejected_image: ClassVar[bool] = True

    def __call__(self, image: Image.Image, rng: np.random.Generator, corpus: Corpus) -> Image.Image:
        return corpus.rejected_image()
