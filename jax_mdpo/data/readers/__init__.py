"""Data formats. A new one is a file beside this one and a line in the table; "auto" takes the first that fits."""

from jax_mdpo.data.readers.format import COLUMN_NAMES, Format
from jax_mdpo.data.readers.generic import GENERIC
from jax_mdpo.data.readers.mdpo import MDPO
from jax_mdpo.data.readers.rlaif_v import RLAIF_V
from jax_mdpo.data.readers.rlhf_v import RLHF_V
from jax_mdpo.data.readers.trl import TRL

AUTO = "auto"

FORMATS: dict[str, Format] = {
    "rlhf_v": RLHF_V,
    "trl": TRL,
    "mdpo": MDPO,
    "rlaif_v": RLAIF_V,
    "generic": GENERIC,
}

__all__ = ["AUTO", "COLUMN_NAMES", "FORMATS", "Format"]
