"""Plain words, which need no data, and say that they are not the official tokeniser's."""

import pytest

from jax_mdpo.evaluation.benchmarks.caption_words import Words
from jax_mdpo.recipe.evaluating import benchmark_of


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a photo of a lamp, a tree and a cup.", ["a", "photo", "of", "a", "lamp", ",", "a", "tree", "and", "a", "cup", "."]),
        ("Two dogs' leads; a T-shirt!", ["Two", "dogs", "'", "leads", ";", "a", "T-shirt", "!"]),
        ("it's  café\n24", ["it's", "café", "24"]),
        ("", []),
    ],
)
def test_words_and_signs_are_parted(text, words):
    assert Words().load().function(text) == words


def test_chair_takes_them_by_name_and_names_them():
    chair = benchmark_of("chair", {"tokens": "words"})
    assert chair.tokens == Words()
    assert "not the official" in chair.tokens.load().tools["tokeniser"]
