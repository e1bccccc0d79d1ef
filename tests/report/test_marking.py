"""Hallucinated words are lemmas; in an answer they stand in any case and number."""

import pytest

from jax_mdpo.report.marking import pieces


@pytest.mark.parametrize(
    ("answer", "words", "marked"),
    [
        ("A Dog and two dogs.", ["dog"], ["Dog", "dogs"]),
        ("Dogma, hotdog, dog-like", ["dog"], ["dog"]),
        ("Two buses, a bench and benches", ["bus", "bench"], ["buses", "bench", "benches"]),
        ("Berries on knives, people, women.", ["berry", "knife", "person", "woman"], ["Berries", "knives", "people", "women"]),
        ("A dining  table, a wine-glass", ["dining table", "wine glass", "table"], ["dining  table", "wine-glass"]),
        ("C++ (really)", ["c++", "(really)"], ["C++", "(really)"]),
        ("Nothing of the kind", ["cat"], []),
    ],
)
def test_forms_of_a_word_are_found(answer, words, marked):
    found = pieces(answer, words)
    assert [piece.text for piece in found if piece.marked] == marked
    assert "".join(piece.text for piece in found) == answer


def test_without_words_the_answer_is_one_piece():
    assert [piece.text for piece in pieces("A dog.", ["", " "])] == ["A dog."]
