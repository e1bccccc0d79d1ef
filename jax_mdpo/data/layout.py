"""The layout of a pair on the device: the prefix that its responses share, and a branch for each."""

from typing import NamedTuple

from jax_mdpo.core.protocols import Processor
from jax_mdpo.data.encode import Pair


class Expanded(NamedTuple):
    """A sequence with its image expanded: ids, slots (see core/batch.py) and the index of the first response token."""

    ids: list[int]
    slots: list[int]
    start: int


class LaidOut(NamedTuple):
    """A pair, expanded. prefix: how many tokens its responses share as prefix."""

    responses: dict[str, Expanded]
    prefix: int

    @property
    def longest_branch(self) -> int:
        """Inputs of the longest branch: its last token is only a target."""
        return max(len(response.ids) for response in self.responses.values()) - 1 - self.prefix


def lay_out(pair: Pair, processor: Processor) -> LaidOut:
    """Expands the images of a pair and finds the prefix.

    The prefix is what the sequences have in common, but at least the last prompt token opens the branches. Where two answers make the
    tokenizer write the end of the prompt differently, those tokens stand in the branches, unscored.
    """
    responses = {}
    for response, sequence in pair.items():
        ids, slots = processor.expand(sequence.ids)
        responses[response] = Expanded(ids, slots, start=len(ids) - (len(sequence.ids) - sequence.start))
    limit = min(response.start for response in responses.values()) - 1
    first, *others = (response.ids[:limit] for response in responses.values())
    prefix = min((_common_length(first, other) for other in others), default=limit)
    return LaidOut(responses, prefix)


def _common_length(one: list[int], other: list[int]) -> int:
    return next((place for place, (a, b) in enumerate(zip(one, other, strict=True)) if a != b), len(one))
