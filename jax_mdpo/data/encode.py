"""From a record to token ids: each response with its prompt before it, and where the response begins."""

from typing import NamedTuple

from jax_mdpo.core.errors import RecordError, UserError
from jax_mdpo.core.protocols import Processor
from jax_mdpo.core.records import Record, Turns
from jax_mdpo.core.views import CHOSEN, CONTRAST, REJECTED, RESPONSES
from jax_mdpo.data.chat import ChatTemplate, answer_turns, probe, prompt_turns, to_messages
from jax_mdpo.data.settings import DataSettings


class Sequence(NamedTuple):
    """Prompt and response as token ids, the image placeholder still a single token. start: index of the first response token."""

    ids: list[int]
    start: int


Pair = dict[str, Sequence]  # by response: chosen, rejected and, where it is asked for, contrast


class Encoder:
    """(record) → Pair of these responses. Raises RecordError, naming the record, where it cannot be tokenised as its format promises."""

    def __init__(self, processor: Processor, settings: DataSettings, responses: tuple[str, ...] = RESPONSES):
        self.processor = processor
        self.settings = settings
        self.responses = responses
        self._chat: ChatTemplate | None = None

    @property
    def chat(self) -> ChatTemplate:
        """The texts of the chat template, probed at first use: templated prompts need none. Raises UserError where there is none."""
        if self._chat is None:
            self._chat = probe(self.processor)
        return self._chat

    def __call__(self, record: Record) -> Pair:
        name = f"record {record.id!r}"
        encode = self._templated if self.is_templated(record) else self._rendered
        pair = {response: encode(record, _answer(record, response, name), name) for response in self.responses}
        for response, sequence in pair.items():
            self._check_images(sequence, record, response, name)
        fitted = {response: self._fit(sequence, response, name) for response, sequence in pair.items()}
        for other in (REJECTED, CONTRAST):
            if fitted[CHOSEN] == fitted.get(other):
                fix = "raise data.max_length or leave the record out"
                raise RecordError(f"{name}: its chosen and {other} responses become the same tokens", fix=fix)
        return fitted

    def is_templated(self, record: Record) -> bool:
        """Whether the prompt is taken as it is. Raises RecordError for chat messages where the settings call for templated strings."""
        if self.settings.prompt_format == "templated":
            if not isinstance(record.prompt, str):
                raise RecordError(
                    f"record {record.id!r}: its prompt is a list of messages",
                    expected="a string, as prompt_format is templated",
                    fix="set data.prompt_format: auto",
                )
            return True
        holds = isinstance(record.prompt, str) and self.processor.image_placeholder in record.prompt
        return holds and self.settings.prompt_format == "auto"

    def lacks_role_marker(self, record: Record) -> bool:
        """Whether a templated prompt shows no sign of the checkpoint's chat template, as sets of bare "<image>\\nquestion" do."""
        if not isinstance(record.prompt, str) or not self.is_templated(record):
            return False
        try:
            markers = (self.chat.user_marker, self.chat.assistant_marker)
        except UserError:  # without a template there is nothing to miss
            return False
        return not any(marker and marker in record.prompt for marker in markers)

    def _templated(self, record: Record, answer: str | Turns, name: str) -> Sequence:
        if not isinstance(record.prompt, str) or not isinstance(answer, str):
            raise RecordError(f"{name}: its prompt is templated, and so its responses must be strings", got="a list of messages")
        prompt = self.processor.tokenize(record.prompt, special_tokens=True).ids
        response = self.processor.tokenize(answer, special_tokens=False).ids
        return Sequence([*prompt, *response, self.processor.eos_id], len(prompt))

    def _rendered(self, record: Record, answer: str | Turns, name: str) -> Sequence:
        prompt, chat = prompt_turns(record), self.chat
        try:
            opening = self.processor.render(to_messages(prompt), generation_prompt=True)
            text = self.processor.render(to_messages(prompt + answer_turns(answer, name)), generation_prompt=False)
        except UserError as error:
            raise RecordError(f"{name}: {error}", fix="correct its roles, or give the prompt as a templated string") from None
        if not text.startswith(opening):
            raise RecordError(
                f"{name}: the chat template writes an answered prompt differently from one that waits for an answer",
                expected=f"the answered text to begin with {opening[-120:]!r}",
                fix="give the prompt as a templated string",
            )
        tokens = self.processor.tokenize(self._without_trailing(text), special_tokens=not chat.writes_bos)
        # A token that straddles the boundary is in part response, so it is scored.
        start = next((place for place, end in enumerate(tokens.ends) if end > len(opening)), len(tokens.ids))
        if start == len(tokens.ids):
            raise RecordError(f"{name}: the chat template leaves nothing of a response", fix="leave the record out")
        finish = [] if tokens.ids[-1] in self.processor.end_ids else [self.processor.eos_id]
        return Sequence([*tokens.ids, *finish], start)

    def _without_trailing(self, text: str) -> str:
        """`text` without the whitespace that the template, not the answer, ends it with."""
        closing = self.chat.closing
        spaces = len(closing) - len(closing.rstrip())
        return text[: len(text) - spaces] if spaces and text.endswith(closing) else text

    def _check_images(self, sequence: Sequence, record: Record, response: str, name: str) -> None:
        """One placeholder, in the prompt, where there is an image; none where there is none."""
        placeholder = self.processor.image_placeholder
        if self._count_images(sequence.ids[sequence.start :]):
            raise RecordError(f"{name}: its {response} response holds the image placeholder {placeholder!r}", fix="remove it there")
        expected, got = int(record.image is not None), self._count_images(sequence.ids)
        if sequence.start < 1:
            raise RecordError(f"{name}: its prompt makes no token", fix="leave the record out")
        if expected != got:
            raise RecordError(
                f"{name}: its prompt holds the image placeholder {placeholder!r} {got} times",
                expected="once" if expected else "never: the record has no image",
                fix="correct the prompt; data.prompt_format: plain lets the chat template place the image",
            )

    def _count_images(self, ids: list[int]) -> int:
        return self.processor.expand(ids)[1].count(0)

    def _fit(self, sequence: Sequence, response: str, name: str) -> Sequence:
        """The sequence, its response's tail cut where the settings allow that; the end token stays."""
        limit = self.settings.max_length
        length = len(self.processor.expand(sequence.ids)[0])
        if limit is None or length <= limit:
            return sequence
        kept = len(sequence.ids) - (length - limit)
        cut = self.settings.overlong == "truncate"
        if not cut or kept < sequence.start + 2:  # at least one token of the response and its end
            raise RecordError(
                f"{name}: with its {response} response it is too long" if not cut else f"{name}: its prompt and image are too long",
                expected=f"at most {limit} tokens (data.max_length)",
                got=f"{length} tokens, {len(sequence.ids) - sequence.start} of them the response's",
                fix="raise data.max_length" + ("" if cut else ", or set data.overlong: truncate to cut the response"),
            )
        return Sequence([*sequence.ids[: kept - 1], sequence.ids[-1]], sequence.start)


def _answer(record: Record, response: str, name: str) -> str | Turns:
    answer: str | Turns | None = getattr(record, response)
    if answer is None:
        raise RecordError(
            f"{name}: has no {response} response, which a term of objectives reads",
            expected="the answer that suits the rejected image, in a contrast column",
            fix="add it, map its column in data.columns, or leave the record out",
        )
    return answer
