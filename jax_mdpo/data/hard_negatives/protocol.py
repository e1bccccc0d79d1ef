"""What a hard negative is: (framed image, random numbers, data set) → framed image."""

from typing import Protocol, runtime_checkable

import numpy as np
from PIL import Image

from jax_mdpo.core.errors import RecordError
from jax_mdpo.core.records import Record


@runtime_checkable
class Corpus(Protocol):
    """The data set as a hard negative sees it from one of its records."""

    @property
    def index(self) -> int:
        """The place of that record."""

    def __len__(self) -> int: ...

    def image(self, index: int) -> Image.Image | None:
        """The framed image of the record at a place; None where it has none."""

    def rejected_image(self) -> Image.Image:
        """The framed image that the record itself pairs as the wrong one. Raises RecordError where it has none."""


@runtime_checkable
class HardNegative(Protocol):
    """Makes the image that should explain the chosen response worse. Its fields are its settings; its state is none."""

    def __call__(self, image: Image.Image, rng: np.random.Generator, corpus: Corpus) -> Image.Image:
        """A negative of the same size as `image`, an RGB framed image. `rng` depends on the seed, the record's id and the epoch."""


def check(negative: HardNegative, record: Record) -> None:
    """Raises RecordError where no negative can be made from `record`, before any image is read."""
    name = f"record {record.id!r}"
    if record.image is None:
        raise no_image(name)
    if getattr(negative, "needs_rejected_image", False) and record.rejected_image is None:
        raise no_rejected_image(name)


def no_image(name: str) -> RecordError:
    """The error for a text-only record where objectives compare images."""
    return RecordError(f"{name}: has no image to make a hard negative from", fix="leave it out, or train without image preferences")


def no_rejected_image(name: str) -> RecordError:
    """The error for a record without a rejected image where one is needed."""
    return RecordError(
        f"{name}: brings no rejected image of its own",
        expected="a rejected_image column",
        fix="map the column in data.columns, or choose another hard negative",
    )
