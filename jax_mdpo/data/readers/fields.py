"""From a row under our names to a Record, every type checked."""

from collections.abc import Mapping
from typing import Any

from jax_mdpo.core.errors import RecordError
from jax_mdpo.core.records import ImageSource, Message, Placeholder, Record, Text, Turns
from jax_mdpo.data.paths import ImageRoot
from jax_mdpo.data.readers.format import Row


def make_record(row: Row, *, id: str | int, name: str, root: ImageRoot) -> Record:
    """The record of `row`. Raises RecordError, naming it by `name`, where a value is missing, of a wrong type or makes no pair."""
    prompt = _text_or_turns(row.get("prompt"), "prompt", name)
    chosen = _text_or_turns(row.get("chosen"), "chosen", name)
    rejected = _text_or_turns(row.get("rejected"), "rejected", name)
    contrast = None if row.get("contrast") is None else _text_or_turns(row["contrast"], "contrast", name)
    for column, answer in (("chosen", chosen), ("rejected", rejected), ("contrast", contrast)):
        if isinstance(answer, tuple) and isinstance(prompt, str):
            raise _wrong(name, column, "a string, as the prompt is one", answer)
        if answer is not None and is_empty(answer):
            raise RecordError(f"{name}: its {column} response is empty", fix="fill it in or leave the record out")
    if chosen == rejected:
        raise RecordError(f"{name}: its chosen and rejected responses are equal", fix="leave the record out: it prefers nothing")
    if not (prompt.strip() if isinstance(prompt, str) else prompt):
        raise RecordError(f"{name}: its prompt is empty", fix="fill it in or leave the record out")
    return Record(
        id=id,
        prompt=prompt,
        chosen=chosen,
        rejected=rejected,
        image=_image(row.get("image"), "image", name, root),
        rejected_image=_image(row.get("rejected_image"), "rejected_image", name, root),
        contrast=contrast,
    )


def record_id(row: Row, number: int, name: str) -> str | int:
    """The data set's own id, or the row number where it has none."""
    value = row.get("id")
    if value is None:
        return number
    if isinstance(value, bool) or not isinstance(value, str | int):
        raise _wrong(name, "id", "a string or an integer", value)
    return value


def is_empty(answer: str | Turns) -> bool:
    """Whether a response holds no text at all."""
    if isinstance(answer, str):
        return not answer.strip()
    return not any(part.text.strip() for message in answer for part in message.content if isinstance(part, Text))


def _text_or_turns(value: Any, column: str, name: str) -> str | Turns:
    if value is None:
        raise RecordError(f"{name}: has no {column}", expected=f"a {column} column", fix="fill it in, or map it in data.columns")
    if isinstance(value, list):
        return tuple(_message(message, column, name) for message in value)
    return _text(value, column, name)


def _text(value: Any, column: str, name: str) -> str:
    if not isinstance(value, str):
        raise _wrong(name, column, "text", value)
    try:
        value.encode("utf-8")
    except UnicodeEncodeError:  # JSON can spell half of a surrogate pair, which no tokenizer takes
        raise RecordError(f"{name}: its {column} holds a broken character", expected="valid Unicode text") from None
    return value


def _message(value: Any, column: str, name: str) -> Message:
    if not isinstance(value, Mapping) or not isinstance(value.get("role"), str):
        raise _wrong(name, column, "messages with role and content", value)
    content = value.get("content")
    if isinstance(content, str):
        return Message(value["role"], (Text(_text(content, column, name)),))
    if not isinstance(content, list):
        raise _wrong(name, column, "content that is text or a list of parts", content)
    return Message(value["role"], tuple(_part(part, column, name) for part in content))


def _part(value: Any, column: str, name: str) -> Text | Placeholder:
    kind = value.get("type") if isinstance(value, Mapping) else None
    if kind == "image":
        return "image"
    if kind != "text":
        raise _wrong(name, column, 'parts of type "text" or "image"', value)
    return Text(_text(value.get("text"), column, name))


def _image(value: Any, column: str, name: str, root: ImageRoot) -> ImageSource | None:
    if isinstance(value, list):
        if len(value) > 1:
            raise RecordError(f"{name}: has {len(value)} images", expected="one", fix="leave the record out")
        value = value[0] if value else None
    if isinstance(value, Mapping):  # Hugging Face's image struct
        value = value.get("bytes") or value.get("path")
    if value is None:
        return None
    if isinstance(value, bytes):
        return value
    if not isinstance(value, str):
        raise _wrong(name, column, "a path, bytes, or a struct of both", value)
    return root.find(value, name)


def _wrong(name: str, column: str, expected: str, got: Any) -> RecordError:
    return RecordError(f"{name}: {column} has the wrong type", expected=expected, got=f"{type(got).__name__} {got!r:.80}")
