"""What a hard negative is: (framed image, random numbers, data set) → framed image."""

from typing import Any, Protocol, runtime_checkable

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

    @property
    def ids(self) -> tuple[str | int, ...]:
        """The id of every record, by place."""

    def __len__(self) -> int: ...

    def image(self, index: int) -> Image.Image | None:
        """The framed image of the record at a place; None where it has none. Raises RecordError where it cannot be decoded."""

    def same_image(self, index: int) -> bool:
        """Whether the record at a place has the same image file as this one, told without opening it. True at `index` itself."""

    def rejected_image(self) -> Image.Image:
        """The framed image that the record itself pairs as the wrong one. Raises RecordError where it has none."""


@runtime_checkable
class HardNegative(Protocol):
    """Makes the image that should explain the chosen response worse. Its fields are its settings; its state is none.

    Two methods are optional: `check(record)` raises RecordError where the record lacks what it needs, and `fingerprint()` says what its
    images depend on where that is more than its fields.
    """

    def __call__(self, image: Image.Image, rng: np.random.Generator, corpus: Corpus) -> Image.Image:
        """A negative of the same size as `image`, an RGB framed image. `rng` depends on the seed, the record's id and the epoch."""


@runtime_checkable
class Checking(Protocol):
    """A hard negative that needs something of its record beside the image."""

    def check(self, record: Record) -> None:
        """Raises RecordError where the record lacks it."""


@runtime_checkable
class Fingerprinted(Protocol):
    """A hard negative whose images depend on more than its fields."""

    def fingerprint(self) -> str:
        """What they depend on, such as a file's content."""


def check(negative: Any, record: Record) -> None:
    """Raises RecordError where no negative can be made from `record`, before any image is read."""
    if record.image is None:
        raise no_image(f"record {record.id!r}")
    if isinstance(negative, Checking):
        negative.check(record)


def fingerprint(negative: Any) -> str:
    """What the images of a hard negative depend on, beside the data set and the seed."""
    return negative.fingerprint() if isinstance(negative, Fingerprinted) else repr(negative)


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
