"""Any file with `prompt`, `chosen`, `rejected` and, where there are images, `image` or `images`, `rejected_image`, `contrast`, `id`."""

from jax_mdpo.data.readers.format import Format

GENERIC = Format(
    fits=lambda row: {"prompt", "chosen", "rejected"} <= set(row),
    required=("prompt", "chosen", "rejected"),
    columns={"image": ("images",)},
)
