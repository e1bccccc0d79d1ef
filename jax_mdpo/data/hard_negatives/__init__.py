"""Hard negatives. A new one is a file beside this one and a line in the table."""

from jax_mdpo.data.hard_negatives.crop import Crop
from jax_mdpo.data.hard_negatives.protocol import Corpus, HardNegative
from jax_mdpo.data.hard_negatives.rejected_image import RejectedImage

HARD_NEGATIVES: dict[str, type[HardNegative]] = {
    "crop": Crop,
    "rejected_image": RejectedImage,
}

__all__ = ["HARD_NEGATIVES", "Corpus", "Crop", "HardNegative", "RejectedImage"]
