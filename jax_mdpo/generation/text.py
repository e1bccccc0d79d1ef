"""Token ids as text, at once or as they come."""

from collections.abc import Sequence

from jax_mdpo.core.protocols import Processor

INCOMPLETE = "�"  # what a decoder writes for a character of which bytes are missing


def text_of(processor: Processor, tokens: Sequence[int]) -> str:
    """An answer's text, without special tokens and outer whitespace."""
    return processor.decode(tokens, special_tokens=False).strip()


class Stream:
    """Text that grows with its tokens; all pieces together are `text_of` the tokens.

    A piece ends before a character of which bytes are missing, and before whitespace: what follows may be the end.
    """

    def __init__(self, processor: Processor):
        self._processor = processor
        self._tokens: list[int] = []
        self._written = ""

    def push(self, token: int) -> str:
        """What one more token adds; often nothing."""
        self._tokens.append(token)
        text = self._processor.decode(self._tokens, special_tokens=False)
        return self._up_to(text.rstrip(INCOMPLETE).strip())

    def end(self) -> str:
        """What was held back."""
        return self._up_to(text_of(self._processor, self._tokens))

    def _up_to(self, text: str) -> str:
        piece = text[len(self._written) :]
        self._written += piece
        return piece
