"""Rows and batches against arrays written by hand."""

import numpy as np

from jax_mdpo.data.batches import Bucket
from jax_mdpo.data.collate import collate
from jax_mdpo.data.encode import Sequence
from jax_mdpo.data.layout import lay_out

IMAGE = 9


class TwoFeatures:
    """A processor that expands token 9 into two image features; nothing else of it is used here."""

    image_placeholder, pad_id, eos_id, end_ids = "<image>", 0, 2, frozenset({2})
    frame = blank = render = tokenize = decode = fingerprint = NotImplemented

    def expand(self, ids):
        pairs = [(token, slot) for token in ids for slot in ((0, 1) if token == IMAGE else (-1,))]
        return [token for token, _ in pairs], [slot for _, slot in pairs]


def row(chosen: Sequence, rejected: Sequence):
    return lay_out({"chosen": chosen, "rejected": rejected}, TwoFeatures())


PAIR = row(Sequence([1, IMAGE, 5, 6, 20, 21, 2], start=4), Sequence([1, IMAGE, 5, 6, 30, 2], start=4))


def test_the_last_prompt_token_opens_the_branches():
    assert PAIR.prefix == 4  # 1, two features, 5; the branches begin with 6
    assert PAIR.responses["chosen"] == ([1, 9, 9, 5, 6, 20, 21, 2], [-1, 0, 1, -1, -1, -1, -1, -1], 5)
    assert PAIR.longest_branch == 3  # 6, 20, 21


def test_prompts_that_end_in_different_tokens_part_earlier():
    """The tokenizer joined the prompt's end 5 6 to one token 7 in the rejected sequence."""
    parted = row(Sequence([1, 5, 6, 20, 2], start=3), Sequence([1, 7, 30, 31, 2], start=2))
    assert parted.prefix == 1
    batch = collate([parted], {}, Bucket(2, 5), np.zeros((1, 1, 3), np.uint8))
    assert batch.prefix.ids.tolist() == [[1, 0]]
    chosen, rejected = batch.branches["chosen"], batch.branches["rejected"]
    assert chosen.ids.tolist() == [[5, 6, 20, 0, 0]] and chosen.targets.tolist() == [[6, 20, 2, 0, 0]]
    assert chosen.scored.tolist() == [[False, True, True, False, False]]
    assert rejected.ids.tolist() == [[7, 30, 31, 0, 0]] and rejected.targets.tolist() == [[30, 31, 2, 0, 0]]
    assert rejected.scored.tolist() == [[True, True, True, False, False]]


def test_an_image_that_ends_the_prompt_opens_the_branch_with_its_last_feature():
    ends = row(Sequence([1, IMAGE, 20, 2], start=2), Sequence([1, IMAGE, 30, 2], start=2))
    batch = collate([ends], {}, Bucket(3, 2), np.zeros((1, 1, 3), np.uint8))
    assert batch.prefix.slots.tolist() == [[-1, 0, -1]] and batch.prefix.mask.tolist() == [[True, True, False]]
    assert batch.branches["chosen"].slots.tolist() == [[1, -1]] and batch.branches["chosen"].targets.tolist() == [[20, 2]]
    assert batch.branches["chosen"].scored.all()


def test_a_batch_by_hand():
    clean = np.full((2, 2, 3), 7, np.uint8)
    blank = np.zeros((2, 2, 3), np.uint8)
    batch = collate([PAIR, None], {"clean": [clean, None]}, Bucket(6, 4), blank)
    nothing = [0] * 6
    assert batch.prefix.ids.tolist() == [[1, 9, 9, 5, 0, 0], nothing]
    assert batch.prefix.slots.tolist() == [[-1, 0, 1, -1, -1, -1], [-1] * 6]
    assert batch.prefix.segments.tolist() == [[1, 1, 1, 1, 0, 0], nothing]
    chosen = batch.branches["chosen"]
    assert chosen.ids.tolist() == [[6, 20, 21, 0], [0] * 4]
    assert chosen.targets.tolist() == [[20, 21, 2, 0], [0] * 4]
    assert chosen.segments.tolist() == [[1, 1, 1, 0], [0] * 4]
    assert chosen.scored.tolist() == chosen.mask.tolist()  # every target here is the response's
    rejected = batch.branches["rejected"]
    assert rejected.ids.tolist() == [[6, 30, 0, 0], [0] * 4] and rejected.targets.tolist() == [[30, 2, 0, 0], [0] * 4]
    assert batch.valid.tolist() == [[True], [False]]
    assert np.array_equal(batch.images["clean"], np.stack([[clean], [blank]]))
    assert {array.dtype for array in (batch.prefix.ids, chosen.targets, batch.prefix.slots)} == {np.dtype(np.int32)}


def test_pairs_stand_side_by_side_in_a_row():
    other = row(Sequence([3, IMAGE, 7, 40, 2], start=3), Sequence([3, IMAGE, 7, 50, 51, 2], start=3))
    marks = [np.full((1, 1, 3), value, np.uint8) for value in range(4)]
    batch = collate([PAIR, other, None, other], {"clean": marks}, Bucket(8, 6), marks[0], pack=2)
    assert batch.prefix.ids.tolist() == [[1, 9, 9, 5, 3, 9, 9, 0], [3, 9, 9, 0, 0, 0, 0, 0]]
    assert batch.prefix.slots.tolist() == [[-1, 0, 1, -1, -1, 0, 1, -1], [-1, 0, 1, -1, -1, -1, -1, -1]]
    assert batch.prefix.segments.tolist() == [[1, 1, 1, 1, 2, 2, 2, 0], [2, 2, 2, 0, 0, 0, 0, 0]]
    chosen, rejected = batch.branches["chosen"], batch.branches["rejected"]
    assert chosen.ids.tolist() == [[6, 20, 21, 7, 40, 0], [7, 40, 0, 0, 0, 0]]
    assert chosen.targets.tolist() == [[20, 21, 2, 40, 2, 0], [40, 2, 0, 0, 0, 0]]
    assert chosen.segments.tolist() == [[1, 1, 1, 2, 2, 0], [2, 2, 0, 0, 0, 0]]
    assert rejected.segments.tolist() == [[1, 1, 2, 2, 2, 0], [2, 2, 2, 0, 0, 0]]
    assert chosen.scored.tolist() == chosen.mask.tolist() and rejected.scored.tolist() == rejected.mask.tolist()
    assert batch.valid.tolist() == [[True, True], [False, True]]
    assert batch.images["clean"].shape == (2, 2, 1, 1, 3) and batch.images["clean"][:, :, 0, 0, 0].tolist() == [[0, 1], [2, 3]]
