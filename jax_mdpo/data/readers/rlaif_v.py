"""RLAIF-V (Yu et al. 2024): `question`, `chosen`, `rejected` and an `image`; files without image bytes name it in `image_path`."""

from jax_mdpo.data.readers.format import Format

RLAIF_V = Format(
    fits=lambda row: "question" in row and "prompt" not in row and "chosen" in row,
    required=("question", "chosen", "rejected"),
    columns={"prompt": ("question",), "image": ("image_path",)},
)
