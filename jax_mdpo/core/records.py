"""One preference pair as every reader yields it."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

ImageSource = Path | bytes  # a file below the image root, or the encoded file's bytes
Placeholder = Literal["image"]  # the place of the image inside a chat message


@dataclass(frozen=True)
class Text:
    """A stretch of text inside a chat message."""

    text: str


@dataclass(frozen=True)
class Message:
    """One turn of a chat: `content` is text and image placeholders, in order."""

    role: str
    content: tuple[Text | Placeholder, ...]


Turns = tuple[Message, ...]


@dataclass(frozen=True)
class Record:
    """A prompt with two answers, the preferred one first.

    id: the data set's own id, or the row number where it has none.
    prompt: a plain or templated string, or the chat turns before the answer.
    chosen, rejected: a string, or the chat turns of the answer (chat prompts only).
    image: None for a text-only record. rejected_image: an image that the data set itself pairs as the wrong one.
    contrast: the answer that suits the rejected image, for objectives that compare it.
    """

    id: str | int
    prompt: str | Turns
    chosen: str | Turns
    rejected: str | Turns
    image: ImageSource | None
    rejected_image: ImageSource | None = None
    contrast: str | Turns | None = None
