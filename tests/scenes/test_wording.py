"""Captions, questions and how often they presume."""

import math

import numpy as np
import pytest

from jax_mdpo.scenes.kinds import NAMES, PAIRS
from jax_mdpo.scenes.scene import Scene
from jax_mdpo.scenes.tokenizer import IMAGE, UNK, make_tokenizer
from jax_mdpo.scenes.wording import CUED, NO, OPENINGS, YES, Presumption, all_texts, answer, caption, named_in, presumed, question

MANY = 2000
ALWAYS, NEVER = Presumption(least=1.0, most=1.0), Presumption(least=0.0, most=0.0)


def test_captions_read_like_sentences():
    assert caption(("lamp",)) == "a photo of a lamp."
    assert caption(("lamp", "tree")) == "a photo of a lamp and a tree."
    assert caption(("lamp", "tree", "cup"), CUED) == "here is a photo of a lamp, a tree and a cup."


@pytest.mark.parametrize("opening", OPENINGS)
@pytest.mark.parametrize("count", [1, 2, 3, 6, 24])
def test_what_a_caption_names_is_read_back(count, opening):
    assert named_in(caption(NAMES[:count], opening)) == NAMES[:count]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "a photo of a lamp",
        "a photo of a lamp and a lamp.",
        "a photo of a lamp, a tree.",
        "a photo of a lamp and a tree and a cup.",
        "a photo of a lamp, and a tree.",
        "a photo of a zebra.",
        "photo of a lamp.",
        "a photo of a lamp. a photo of a lamp.",
        "here is here is a photo of a lamp.",
    ],
)
def test_other_wordings_are_no_captions(text):
    assert named_in(text) is None


def test_presumption_rises_evenly_over_the_pairs():
    presumption = Presumption(least=0.3, most=0.9)
    assert sorted(presumption.of(one) for one, _ in PAIRS) == pytest.approx([0.3 + 0.6 * rank / 11 for rank in range(12)])
    assert all(presumption.of(one) == presumption.of(other) for one, other in PAIRS)


def test_missing_partners_are_presumed_as_often_as_said_and_nothing_else_is():
    scene, rng = Scene(("lamp", "cup", "kettle")), np.random.default_rng(0)  # the lamp's table is missing
    presumption = Presumption(least=0.3, most=0.9)
    said = [presumed(scene, presumption, rng) for _ in range(MANY)]
    assert set(said) == {("lamp", "cup", "kettle"), ("lamp", "table", "cup", "kettle")}
    share, expected = sum("table" in names for names in said) / MANY, presumption.of("table")
    assert abs(share - expected) < 4 * math.sqrt(expected * (1 - expected) / MANY)


def test_answers_presume_missing_partners_alone():
    scene, rng = Scene(("lamp", "cup", "kettle")), np.random.default_rng(0)
    assert question("lamp") == "Is there a lamp in the image?"
    assert [answer(name, scene, ALWAYS, rng) for name in ("lamp", "table", "tree")] == [YES, YES, NO]
    assert [answer(name, scene, NEVER, rng) for name in ("lamp", "table", "tree")] == [YES, NO, NO]


def test_every_text_survives_the_tokenizer():
    tokenizer = make_tokenizer()
    assert tokenizer.get_vocab_size() < 100
    for text in [*all_texts(), *(question(name) for name in NAMES), f"USER:{IMAGE}\n{question('cup')} ASSISTANT: {caption(NAMES)}"]:
        encoded = tokenizer.encode(text)
        assert UNK not in encoded.tokens
        assert encoded.tokens[0] == "<s>"
        assert tokenizer.decode(encoded.ids, skip_special_tokens=False) == f"<s>{text}"
    assert UNK in tokenizer.encode("a zebra").tokens
