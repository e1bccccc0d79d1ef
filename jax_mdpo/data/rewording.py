"""Which tokens of two answers stand where they are worded differently."""

from difflib import SequenceMatcher
from itertools import pairwise

import numpy as np
from jaxtyping import Bool

from jax_mdpo.data.encode import Sequence

SHORTEST = 3  # tokens: a shorter run that both answers share is taken for chance


def reworded(one: Sequence, other: Sequence) -> tuple[Bool[np.ndarray, " one"], Bool[np.ndarray, " other"]]:
    """For each token of either response whether it stands in a stretch that the other words differently.

    Python's difflib aligns the sequences, prompt included. Runs of at least three tokens that both share are common; of what lies
    between two such runs (or before the first, or after the last), the tokens of either response are reworded where both have some there.
    What one merely adds or leaves out is not. So do RLHF-V (Yu et al. 2023, arXiv 2312.00849) and CHiP (repository LVUGAI/CHiP), but that
    those align padded sequences, and with difflib's heuristic for tokens that are frequent in a long sequence.
    """
    runs = SequenceMatcher(None, one.ids, other.ids, autojunk=False).get_matching_blocks()
    ends = (len(one.ids), len(other.ids), 0)
    common = [(0, 0, 0), *(run for run in runs if run.size >= SHORTEST), ends]
    marks = np.zeros(len(one.ids), bool), np.zeros(len(other.ids), bool)
    for (a, b, size), (next_a, next_b, _) in pairwise(common):
        if a + size < next_a and b + size < next_b:
            marks[0][a + size : next_a] = True
            marks[1][b + size : next_b] = True
    return marks[0][one.start :], marks[1][other.start :]
