"""The set released with mDPO (Wang et al. 2024): JSON with `img_path`, `prompt`, `chosen`, `rejected`."""

from jax_mdpo.data.readers.format import Format

MDPO = Format(
    fits=lambda row: "img_path" in row and "prompt" in row,
    required=("img_path", "prompt", "chosen", "rejected"),
    columns={"image": ("img_path",)},
)
