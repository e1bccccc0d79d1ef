"""What a checkpoint's chat template writes around messages, found by rendering known texts; and records as messages."""

from collections.abc import Callable
from typing import Any, NamedTuple

from jax_mdpo.core.errors import RecordError
from jax_mdpo.core.protocols import Processor
from jax_mdpo.core.records import Message, Record, Text, Turns

QUESTION, ANSWER, FOLLOW_UP = "jaxmdpofirst", "jaxmdposecond", "jaxmdpothird"  # words that no template writes


Render = Callable[..., str]  # Processor.render


class ChatTemplate(NamedTuple):
    """The texts that a template writes.

    user_marker, assistant_marker: what announces a turn of that role, outer whitespace removed ("USER:").
    closing: all that follows the last answer, whitespace included.
    writes_bos: whether a rendered text already begins with the special tokens that the tokenizer would add.
    """

    user_marker: str
    assistant_marker: str
    closing: str
    writes_bos: bool


def probe(processor: Processor) -> ChatTemplate:
    """Renders known texts to find what stands around them. Raises UserError where the checkpoint has no chat template."""
    prompt = processor.render(to_messages(_turns(QUESTION)), generation_prompt=True)
    dialogue = processor.render(to_messages(_turns(QUESTION, ANSWER, FOLLOW_UP)), generation_prompt=False)
    first = prompt.partition(QUESTION)[0]
    second = dialogue.partition(ANSWER)[2].partition(FOLLOW_UP)[0]
    own = processor.tokenize("", special_tokens=True).ids
    return ChatTemplate(
        user_marker=_common_ending(first, second).strip(),
        assistant_marker=_last_line(prompt.partition(QUESTION)[2]),
        closing=closing_text(processor.render),
        writes_bos=bool(own) and processor.tokenize(prompt, special_tokens=False).ids[: len(own)] == own,
    )


def closing_text(render: Render) -> str:
    """What the template writes after the last answer of a dialogue."""
    return render(to_messages(_turns(QUESTION, ANSWER)), generation_prompt=False).rpartition(ANSWER)[2]


def prompt_turns(record: Record) -> Turns:
    """The turns before the answer: a plain string becomes a user turn with the image first."""
    if not isinstance(record.prompt, str):
        return record.prompt
    text = (Text(record.prompt),)
    return (Message("user", text if record.image is None else ("image", *text)),)


def answer_turns(answer: str | Turns, name: str) -> Turns:
    """The turns of an answer. Raises RecordError where the first or the last is not the assistant's."""
    if isinstance(answer, str):
        return (Message("assistant", (Text(answer),)),)
    if not answer or answer[0].role != "assistant" or answer[-1].role != "assistant":
        roles = ", ".join(message.role for message in answer) or "none"
        raise RecordError(f"{name}: an answer does not begin and end with an assistant's turn", got=f"turns of {roles}")
    return answer


def to_messages(turns: Turns) -> list[dict[str, Any]]:
    """Turns in the form that Hugging Face chat templates take."""
    return [{"role": turn.role, "content": [_to_part(part) for part in turn.content]} for turn in turns]


def _to_part(part: Text | str) -> dict[str, str]:
    return {"type": "text", "text": part.text} if isinstance(part, Text) else {"type": "image"}


def _turns(*texts: str) -> Turns:
    return tuple(Message("user" if place % 2 == 0 else "assistant", (Text(text),)) for place, text in enumerate(texts))


def _common_ending(one: str, other: str) -> str:
    length = 0
    while length < min(len(one), len(other)) and one[-1 - length] == other[-1 - length]:
        length += 1
    return one[len(one) - length :]


def _last_line(text: str) -> str:
    return text.strip().rpartition("\n")[2].strip()
