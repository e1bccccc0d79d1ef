"""What is asked and what is answered; and from a request to token ids and a framed image."""

from dataclasses import dataclass, field
from functools import cached_property
from typing import NamedTuple

import numpy as np

from jax_mdpo.core.errors import RecordError, UserError
from jax_mdpo.core.protocols import Processor
from jax_mdpo.core.records import ImageSource, Message, Text, Turns
from jax_mdpo.data.chat import probe, to_messages
from jax_mdpo.data.images import open_image
from jax_mdpo.data.layout import Expanded
from jax_mdpo.data.settings import PILLOW_LIMIT


@dataclass(frozen=True)
class Request:
    """A prompt, with an image or without.

    prompt: text that holds the image placeholder is taken as it is; other text becomes a user's turn of the checkpoint's chat
    template, the image first; or the chat turns before the answer.
    """

    id: str | int
    prompt: str | Turns
    image: ImageSource | None = None


@dataclass(frozen=True)
class Answer:
    """text: without special tokens and outer whitespace. tokens: as generated, the end token included.

    ended: whether the model ended it, or the greatest number of tokens did.
    """

    id: str | int
    text: str
    tokens: list[int] = field(repr=False)
    ended: bool


class Prepared(NamedTuple):
    """A request as arrays: its prompt with the image expanded, and the framed image where there is one."""

    request: Request
    prompt: Expanded
    image: np.ndarray | None


@dataclass(frozen=True)
class Reader:
    """request → Prepared. Raises RecordError, naming the request, where it cannot be used."""

    processor: Processor
    max_image_pixels: int = PILLOW_LIMIT

    def __call__(self, request: Request) -> Prepared:
        name = f"request {request.id!r}"
        ids = self._ids(request, name)
        expanded, slots = self.processor.expand(ids)
        found, wanted = slots.count(0), int(request.image is not None)
        if not ids or found != wanted:
            placeholder = self.processor.image_placeholder
            raise RecordError(
                f"{name}: its prompt makes no token" if not ids else f"{name}: its prompt holds the image placeholder {placeholder!r}",
                expected=f"{wanted} times",
                got=f"{found} times",
                fix="give one image for one placeholder; a prompt without a placeholder gets it from the chat template",
            )
        image = None
        if request.image is not None:
            image = np.asarray(self.processor.frame(open_image(request.image, max_pixels=self.max_image_pixels, name=name)))
        return Prepared(request, Expanded(expanded, slots, len(expanded)), image)

    def _ids(self, request: Request, name: str) -> list[int]:
        prompt = request.prompt
        if isinstance(prompt, str) and self.processor.image_placeholder in prompt:
            return self.processor.tokenize(prompt, special_tokens=True).ids
        special = not self._writes_bos
        try:
            text = self.processor.render(to_messages(_turns(request)), generation_prompt=True)
        except UserError as error:  # it has rendered a plain question before
            raise RecordError(f"{name}: {error}", fix="correct its roles, or give the prompt as a templated string") from None
        return self.processor.tokenize(text, special_tokens=special).ids

    @cached_property
    def _writes_bos(self) -> bool:
        return probe(self.processor).writes_bos


def _turns(request: Request) -> Turns:
    if not isinstance(request.prompt, str):
        return request.prompt
    text = (Text(request.prompt),)
    return (Message("user", text if request.image is None else ("image", *text)),)
