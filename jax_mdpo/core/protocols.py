"""What the floors expect of each other, where the one that calls stands below the one that is called."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, Protocol, runtime_checkable

from PIL import Image


class Tokens(NamedTuple):
    """Token ids of a text and, for each, the end of its span in that text, in characters."""

    ids: list[int]
    ends: list[int]


@runtime_checkable
class Processor(Protocol):
    """A checkpoint's tokenizer, chat template and image geometry, as the data pipeline uses them. Picklable, free of jax.

    image_placeholder: the text that stands for the image in a templated prompt ("<image>").
    end_ids: tokens that end a turn; a rendered answer that stops with one of them gets no further EOS.
    """

    image_placeholder: str
    pad_id: int
    eos_id: int
    end_ids: frozenset[int]

    def frame(self, image: Image.Image) -> Image.Image:
        """The RGB image as the model will see it, resized and cropped or padded to its input size, before normalisation."""

    def blank(self) -> Image.Image:
        """A black framed image: fills the rows of records that have none."""

    def expand(self, ids: Sequence[int]) -> tuple[list[int], list[int]]:
        """Repeats each image placeholder once per image feature; returns ids and slots (feature index, TEXT_SLOT for text)."""

    def render(self, messages: Sequence[Mapping[str, Any]], *, generation_prompt: bool) -> str:
        """The chat template applied to Hugging Face style messages."""

    def tokenize(self, text: str, *, special_tokens: bool) -> Tokens:
        """Token ids with character ends; `special_tokens` adds what the tokenizer adds by itself (BOS)."""

    def decode(self, ids: Sequence[int], *, special_tokens: bool = True) -> str:
        """The text of token ids, by default special tokens included: what a preview shows."""

    def fingerprint(self) -> str:
        """A digest of everything above: tokenizer, template and image geometry."""
