"""TRL's conversational sets: message lists in `chosen` and `rejected`, the prompt explicit or their common beginning; `images`."""

from collections.abc import Mapping
from typing import Any

from jax_mdpo.core.errors import RecordError
from jax_mdpo.data.readers.format import Format, Row


def split_messages(row: Row, name: str) -> Row:
    """The row with an explicit prompt, and the image standing in its messages where none of them says where."""
    chosen, rejected, contrast, prompt = (row.get(column) for column in ("chosen", "rejected", "contrast", "prompt"))
    if not isinstance(chosen, list) or not isinstance(rejected, list) or not isinstance(prompt, list | None):
        kinds = ", ".join(f"{column} {type(row.get(column)).__name__}" for column in ("prompt", "chosen", "rejected"))
        raise RecordError(f"{name}: a column has the wrong type", expected="lists of messages in chosen and rejected", got=kinds)
    if prompt is None:
        shared = _common_length(chosen, rejected)
        prompt, chosen, rejected = chosen[:shared], chosen[shared:], rejected[shared:]
        if not prompt:
            raise RecordError(f"{name}: has no prompt: chosen and rejected share no first message", fix="add a prompt column")
        if isinstance(contrast, list) and contrast[:shared] == prompt:
            contrast = contrast[shared:]
    if row.get("image") is not None and not any(_holds_image(message) for message in prompt):
        prompt = _with_image_first(prompt)
    return {**row, "prompt": prompt, "chosen": chosen, "rejected": rejected, "contrast": contrast}


def _common_length(chosen: list[Any], rejected: list[Any]) -> int:
    shared = 0
    while shared < min(len(chosen), len(rejected)) and chosen[shared] == rejected[shared]:
        shared += 1
    return shared


def _holds_image(message: Any) -> bool:
    content = message.get("content") if isinstance(message, Mapping) else None
    return isinstance(content, list) and any(isinstance(part, Mapping) and part.get("type") == "image" for part in content)


def _with_image_first(prompt: list[Any]) -> list[Any]:
    """TRL's own rule: the image opens the first user turn."""
    for place, message in enumerate(prompt):
        if isinstance(message, Mapping) and message.get("role") == "user":
            content = message.get("content")
            parts = [{"type": "text", "text": content}] if isinstance(content, str) else list(content or ())
            return [*prompt[:place], {**message, "content": [{"type": "image"}, *parts]}, *prompt[place + 1 :]]
    return prompt


TRL = Format(
    fits=lambda row: isinstance(row.get("chosen"), list),
    required=("chosen", "rejected"),
    columns={"image": ("images",)},
    fields=split_messages,
)
