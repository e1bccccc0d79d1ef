"""What a user may say about the data."""

import itertools
from collections.abc import Mapping
from typing import Literal

from jax_mdpo.core.config import config
from jax_mdpo.core.errors import nearest
from jax_mdpo.data.readers import AUTO, COLUMN_NAMES, FORMATS

PILLOW_LIMIT = 89_478_485  # Pillow warns beyond this number of pixels and refuses at twice that


@config
class DataSettings:
    """Where preference pairs come from, and how they become batches.

    path: a JSON, JSON lines or parquet file, or a folder of parquet files.
    format: a reader's name, or "auto" to tell it from the columns.
    images: the folder that image paths are relative to and may not leave; the data file's folder where not given.
    columns: our column name → the file's, for files that use other names.
    prompt_format: "templated" takes a prompt string as it is, "plain" puts it through the checkpoint's chat template, "auto" decides by
        whether it holds the image placeholder.
    max_length: most tokens of prompt, image and one response together, its end token included; no limit where not given.
    overlong: what happens beyond max_length: the record is rejected, or its responses' tails are cut (the end token stays). Prompt and
        image are never cut.
    on_bad_record: "error" stops at the first bad record; "skip" leaves it out and lists it.
    buckets: how many (prefix, response) lengths to derive from the data, or the lengths themselves, each at least the one before.
    length_multiple: derived lengths are rounded up to a multiple of it (128 suits a TPU).
    pack: how many records share a row. More than one suits many short pairs: rows of a long and a short pair are about equally long,
        so little is padding, and the device gets long rows to work on.
    workers: threads that read images ahead of the trainer; with 0 it reads them itself, and waits.
    max_image_pixels: an image of more pixels (width × height) is a bad record.
    """

    path: str
    format: str = AUTO
    images: str | None = None
    columns: Mapping[str, str] | None = None
    prompt_format: Literal["auto", "templated", "plain"] = "auto"
    max_length: int | None = None
    overlong: Literal["reject", "truncate"] = "reject"
    on_bad_record: Literal["error", "skip"] = "error"
    buckets: int | tuple[tuple[int, int], ...] = 1
    length_multiple: int = 16
    pack: int = 1
    workers: int = 2
    max_image_pixels: int = PILLOW_LIMIT

    def __post_init__(self) -> None:
        if self.format not in (AUTO, *FORMATS):
            raise ValueError(f"unknown format {self.format!r}: {nearest(self.format, [AUTO, *FORMATS])}")
        for name in self.columns or {}:
            if name not in COLUMN_NAMES:
                raise ValueError(f"columns maps an unknown name {name!r}: {nearest(name, COLUMN_NAMES)}")
        _at_least(1, length_multiple=self.length_multiple, pack=self.pack, max_image_pixels=self.max_image_pixels)
        _at_least(0, workers=self.workers)
        if self.max_length is not None:
            _at_least(2, max_length=self.max_length)
        elif self.overlong == "truncate":
            raise ValueError("overlong: truncate cuts to max_length, which is not set")
        if self.max_image_pixels > 2 * PILLOW_LIMIT:
            raise ValueError(f"max_image_pixels must be at most {2 * PILLOW_LIMIT}, where Pillow itself refuses an image")
        _check_buckets(self.buckets)


def _at_least(least: int, **values: int) -> None:
    for name, value in values.items():
        if value < least:
            raise ValueError(f"{name} must be at least {least}, got {value}")


def _check_buckets(buckets: int | tuple[tuple[int, int], ...]) -> None:
    if isinstance(buckets, int):
        _at_least(1, buckets=buckets)
        return
    if not buckets or any(length < 1 for bucket in buckets for length in bucket):
        raise ValueError(f"buckets must be one or more pairs of positive lengths (prefix, response), got {buckets}")
    for smaller, larger in itertools.pairwise(buckets):
        if smaller == larger or any(a > b for a, b in zip(smaller, larger, strict=True)):
            raise ValueError(f"each bucket must be larger than the one before in no length smaller, got {smaller} before {larger}")
