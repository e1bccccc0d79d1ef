"""What a contact sheet shows of one preference pair."""

from collections.abc import Mapping
from dataclasses import dataclass

from PIL import Image


@dataclass(frozen=True)
class Card:
    """One pair as the trainer will see it.

    prompt, chosen, rejected: the final text, special tokens included.
    images: label → framed image ("clean", "hard negative"), in the order of showing; empty for a text-only pair.
    notes: short facts below ("chosen 21 tokens").
    """

    id: str | int
    prompt: str
    chosen: str
    rejected: str
    images: Mapping[str, Image.Image]
    notes: tuple[str, ...] = ()
