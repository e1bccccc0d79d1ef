"""Another image of the data set."""

from typing import Literal

import numpy as np
from jaxtyping import Int
from PIL import Image

from jax_mdpo.core.config import config
from jax_mdpo.core.errors import RecordError
from jax_mdpo.core.records import Record
from jax_mdpo.data.hard_negatives.features import read_features
from jax_mdpo.data.hard_negatives.protocol import Corpus


@config
class OtherImage:
    """The framed image of another record, drawn at random or the nearest by features.

    choice: "uniform" draws among all other records, so that an image which several records share is drawn more often; "nearest" takes
    the one of greatest cosine to this record's features, the same in every epoch. features: for "nearest", an .npz file with the
    arrays ids [N] and features [N, D], from any image encoder; records that it lacks are never taken. A relative path counts from the
    working directory, and the file is read once per process.

    The record's own image is never taken: neither one that comes from the same file nor one with the same pixels. Text-only
    records are passed over, and so are those whose image cannot be decoded: each is reported at its own turn. Raises RecordError
    where nothing is left, or where the record itself has no features. An image of another framed size is resized bicubically.
    """

    choice: Literal["uniform", "nearest"] = "uniform"
    features: str | None = None

    def __post_init__(self) -> None:
        if self.choice == "nearest" and self.features is None:
            raise ValueError("choice: nearest needs features, the path of an .npz file with ids and features")
        if self.choice == "uniform" and self.features is not None:
            raise ValueError("features is set, but choice: uniform does not read it: remove it, or set choice: nearest")

    def __call__(self, image: Image.Image, rng: np.random.Generator, corpus: Corpus) -> Image.Image:
        for place in self._order(rng, corpus):
            found = _usable(int(place), image, corpus)
            if found is not None:
                return found
        raise RecordError(
            f"record {corpus.ids[corpus.index]!r}: finds no other image to be its hard negative",
            expected="another record whose image is a different one and can be decoded",
            fix="choose another hard negative, or leave the record out",
        )

    def _order(self, rng: np.random.Generator, corpus: Corpus) -> Int[np.ndarray, " places"]:
        if self.features is None:
            return rng.permutation(len(corpus))
        return read_features(self.features).nearest(corpus.ids, corpus.index)

    def check(self, record: Record) -> None:
        """Raises UserError where there is no such feature file, and RecordError where it lacks the record."""
        if self.features is not None:
            read_features(self.features).row(record.id)

    def fingerprint(self) -> str:
        """The settings, and the features themselves."""
        return repr(self) if self.features is None else f"{self!r} {read_features(self.features).digest()}"


def _usable(place: int, image: Image.Image, corpus: Corpus) -> Image.Image | None:
    if corpus.same_image(place):
        return None
    try:
        found = corpus.image(place)
    except RecordError:  # that record's own fault, and reported as such
        return None
    if found is None:
        return None
    if found.size != image.size:
        found = found.resize(image.size, Image.Resampling.BICUBIC)
    return None if found.tobytes() == image.tobytes() else found
