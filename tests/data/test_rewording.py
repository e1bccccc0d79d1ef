"""Which tokens of two answers are reworded, by hand."""

import pytest

from jax_mdpo.data.encode import Sequence
from jax_mdpo.data.rewording import reworded

PROMPT, END = [1, 2, 3], 9


def marks(chosen: list[int], rejected: list[int]) -> tuple[list[int], list[int]]:
    """The marked tokens of either response."""
    answers = chosen, rejected
    found = reworded(*(Sequence([*PROMPT, *answer], len(PROMPT)) for answer in answers))
    assert [len(one) for one in found] == [len(answer) for answer in answers]
    return tuple([token for token, marked in zip(answer, one, strict=True) if marked] for answer, one in zip(answers, found, strict=True))


@pytest.mark.parametrize(
    ("chosen", "rejected", "expected"),
    [
        ([10, 11, 12, 20, 13, 14, 15, END], [10, 11, 12, 30, 31, 13, 14, 15, END], ([20], [30, 31])),  # one stretch, of unequal lengths
        ([10, 11, 12, 20, 13, 14, 15, END], [10, 11, 12, 13, 14, 15, END], ([], [])),  # words that are only added are not reworded
        ([20, 10, 11, 12, END], [30, 10, 11, 12, END], ([20], [30])),  # the prompt's end counts as common
        ([10, 20, END], [10, 30, END], ([20, END], [30, END])),  # the end alone is too short a run
        ([20, 13, 14, 21, END], [30, 13, 14, 31, END], ([20, 13, 14, 21, END], [30, 13, 14, 31, END])),  # two tokens are chance
        ([20, END], [30, END], ([20, END], [30, END])),
        ([10, 11, END], [10, 11, END], ([], [])),
    ],
)
def test_stretches_that_both_word(chosen, rejected, expected):
    assert marks(chosen, rejected) == expected
    assert marks(rejected, chosen) == expected[::-1]


def test_frequent_tokens_of_long_answers_are_aligned_too():
    """difflib would by itself ignore tokens that make up more than a hundredth of 200 or more."""
    same = [10, 11, 12] * 80
    assert marks([*same, 20, *same, END], [*same, 30, *same, END]) == ([20], [30])
