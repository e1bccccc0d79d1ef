"""The hard negative that a data set brings itself."""

import numpy as np
from PIL import Image

from jax_mdpo.core.config import config
from jax_mdpo.core.records import Record
from jax_mdpo.data.hard_negatives.protocol import Corpus, no_rejected_image


@config
class RejectedImage:
    """The record's own `rejected_image`, framed like any other. Raises RecordError where it has none."""

    def __call__(self, image: Image.Image, rng: np.random.Generator, corpus: Corpus) -> Image.Image:
        return corpus.rejected_image()

    def check(self, record: Record) -> None:
        """Raises RecordError where the record brings none."""
        if record.rejected_image is None:
            raise no_rejected_image(f"record {record.id!r}")
