"""Hard negatives. A new one is a file beside this one and a line in the table."""

from jax_mdpo.data.hard_negatives.black import Black
from jax_mdpo.data.hard_negatives.block_mask import BlockMask
from jax_mdpo.data.hard_negatives.blur import Blur
from jax_mdpo.data.hard_negatives.crop import Crop
from jax_mdpo.data.hard_negatives.mixture import Mixture
from jax_mdpo.data.hard_negatives.moco import Moco
from jax_mdpo.data.hard_negatives.other_image import OtherImage
from jax_mdpo.data.hard_negatives.patch_mask import PatchMask
from jax_mdpo.data.hard_negatives.patch_shuffle import PatchShuffle
from jax_mdpo.data.hard_negatives.protocol import Corpus, HardNegative, check, fingerprint
from jax_mdpo.data.hard_negatives.rejected_image import RejectedImage
from jax_mdpo.data.hard_negatives.rotation import Rotation

HARD_NEGATIVES: dict[str, type] = {  # HardNegatives all, and Mixture, which picks one
    "black": Black,
    "block_mask": BlockMask,
    "blur": Blur,
    "crop": Crop,
    "mixture": Mixture,
    "moco": Moco,
    "other_image": OtherImage,
    "patch_mask": PatchMask,
    "patch_shuffle": PatchShuffle,
    "rejected_image": RejectedImage,
    "rotation": Rotation,
}

__all__ = [
    "HARD_NEGATIVES",
    "Black",
    "BlockMask",
    "Blur",
    "Corpus",
    "Crop",
    "HardNegative",
    "Mixture",
    "Moco",
    "OtherImage",
    "PatchMask",
    "PatchShuffle",
    "RejectedImage",
    "Rotation",
    "check",
    "fingerprint",
]
