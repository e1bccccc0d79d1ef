"""A page on which a person says which of two answers is better, without knowing whose they are."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from jax_mdpo.core.files import write_text
from jax_mdpo.report.page import data_uri, is_small, render

SIDE = 900  # pixels: a larger image is made this wide or high, so that fifty of them can be sent by mail


@dataclass(frozen=True)
class Picture:
    """An image inside an address, and its size in pixels. small: a screen shows it larger than it is."""

    uri: str
    width: int
    height: int
    small: bool

    @classmethod
    def of(cls, image: Image.Image) -> "Picture":
        """The pixels alone: a file's name and what else it says of itself stay behind."""
        fitted = image.convert("RGB")
        fitted.thumbnail((SIDE, SIDE), Image.Resampling.LANCZOS)
        bare = Image.frombytes("RGB", fitted.size, fitted.tobytes())
        return cls(data_uri(bare), *bare.size, is_small(bare))


@dataclass(frozen=True)
class Comparison:
    """One item of the page. id: as the judgements name it. a, b: the answers in the order of showing."""

    id: str
    question: str
    a: str
    b: str
    image: Picture | None = None


def write_human_page(comparisons: Sequence[Comparison], path: Path) -> str:
    """Writes the page, whole or not at all, and returns its digest: it stands in the page and in every file of judgements made on it."""
    digest = _digest(comparisons)
    write_text(path, render("human.html", items=comparisons, digest=digest))
    return digest


def _digest(comparisons: Sequence[Comparison]) -> str:
    """Of all that is shown."""
    found = hashlib.sha256()
    for one in comparisons:
        for text in (one.id, one.question, one.a, one.b, one.image.uri if one.image else ""):
            found.update(f"{len(text)}:{text}".encode())
    return found.hexdigest()
