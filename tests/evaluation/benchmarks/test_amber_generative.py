"""AMBER's descriptions: every rule of the official tool on an example of its own."""

import pytest

from jax_mdpo.evaluation.benchmarks.amber_generative import Generative, Words, figures

RELATED = {
    "sky": [],
    "ship": ["boat"],
    "boat": ["ship"],
    "person": ["man", "woman"],
    "cloud": ["smoke"],
    "sun": [],
    "dog": ["puppy"],
    "orange": [],
    "TV": [],
}


def read(answer, truth, hallu, alike=None):
    """What is read in `answer`, whose words are all nouns; alike: (noun, word) → similarity, 0 where there is none."""
    pairs = alike or {}
    words = Words(RELATED, frozenset({"orange"}))
    generative = Generative(words, str.split, lambda noun, word: pairs.get((noun, word), 0.0))
    return generative.read({"truth": truth, "hallu": hallu}, answer)


def test_only_known_nouns_count_with_repeats_and_as_they_are_written():
    reading = read("sky zebra Sky man man TV tv", ["sky", "person"], ["TV"])
    assert reading["nouns"] == ["sky", "man", "man", "TV"]


def test_a_safe_noun_is_never_hallucinated_and_still_counted():
    reading = read("orange sun", ["sky"], ["dog"])
    assert (reading["nouns"], reading["hallucinated"]) == (["orange", "sun"], ["sun"])
    assert figures([reading])["CHAIR"] == 1 / (0.001 + 2) * 100


def test_a_safe_noun_covers_nothing():
    assert read("orange", ["orange"], ["orange"])["covered"] == 0
    assert read("orange", ["orange"], ["orange"])["confused"] == 0


def test_a_noun_marks_its_first_match_and_related_words_come_before_the_objects_themselves():
    # entries of the truth: boat (slot 0, related to ship), ship (slot 1, related to boat), ship (slot 0), boat (slot 1)
    assert read("boat", ["ship", "boat"], [])["covered"] == 1
    assert read("boat ship", ["ship", "boat"], [])["covered"] == 2  # boat marks slot 0, ship marks slot 1
    # entries: boat (slot 0), ship (slot 0), sky (slot 1): both words are slot 0's
    assert read("boat ship", ["ship", "sky"], [])["covered"] == 1


def test_an_object_that_is_annotated_twice_has_two_slots_and_only_the_first_is_ever_marked():
    reading = read("ship ship", ["ship", "ship"], [])
    assert (reading["covered"], reading["truth"]) == (1, 2)


def test_an_object_in_both_lists_is_true():
    reading = read("dog", ["dog"], ["dog"])
    assert (reading["covered"], reading["confused"], reading["hallucinated"]) == (1, 0, [])


def test_an_expected_hallucination_is_marked_by_equality():
    reading = read("puppy", ["sky"], ["sun", "dog"])
    assert (reading["hallucinated"], reading["confused"], reading["hallu"]) == (["puppy"], 1, 2)


def test_a_noun_may_mark_one_slot_by_equality_and_another_by_similarity():
    reading = read("dog", ["sky"], ["sun", "dog"], alike={("dog", "sun"): 0.9, ("dog", "puppy"): 0.95})
    # entries: puppy (slot 1), sun (slot 0), dog (slot 1); dog equals slot 1's name, and the first word alike is slot 1's puppy
    assert reading["confused"] == 1
    reading = read("dog", ["sky"], ["sun", "dog"], alike={("dog", "sun"): 0.9})
    assert reading["confused"] == 2  # slot 1 by equality, slot 0 by similarity


def test_a_noun_like_an_expected_hallucination_marks_it_even_where_the_noun_is_fine():
    reading = read("sun", ["sky"], ["cloud"], alike={("sun", "cloud"): 0.81, ("sun", "sky"): 0.81})
    assert (reading["hallucinated"], reading["confused"], reading["covered"]) == ([], 1, 1)


def test_a_noun_equal_to_an_expected_hallucination_is_fine_where_it_is_like_the_truth():
    reading = read("cloud", ["sky"], ["cloud"], alike={("cloud", "sky"): 0.9})
    assert (reading["hallucinated"], reading["confused"], reading["covered"]) == ([], 1, 1)


def test_alike_is_strictly_above_the_threshold():
    assert read("sun", ["sky"], [], alike={("sun", "sky"): 0.8})["hallucinated"] == ["sun"]
    assert read("sun", ["sky"], [], alike={("sun", "sky"): 0.8000001})["hallucinated"] == []


def test_similarity_marks_the_first_word_alike():
    alike = {("sun", "ship"): 0.9, ("sun", "sky"): 0.99}
    # entries: boat (slot 1), sky (slot 0), ship (slot 1)
    reading = read("sun sky", ["sky", "ship"], [], alike=alike)
    assert reading["covered"] == 1  # sun marks sky's slot, which stands before ship


def test_similarity_is_not_asked_for_a_noun_that_equals_the_truth():
    def refuse(noun, word):
        raise AssertionError(f"asked for {noun} and {word}")

    reading = Generative(Words(RELATED, frozenset()), str.split, refuse).read({"truth": ["sky"], "hallu": ["sun"]}, "sky")
    assert reading["covered"] == 1


def test_figures_are_pooled_over_all_answers():
    readings = [
        read("sky man sun sun", ["sky", "person", "ship"], ["sun", "dog"]),  # 4 nouns, 2 hallucinated; 2 of 3 covered; 1 of 2
        read("sky", ["sky"], ["cloud", "dog", "TV"]),  # 1 noun, none; 1 of 1; 0 of 3
        read("", ["sky", "sun"], ["dog"]),  # no nouns; 0 of 2; 0 of 1
    ]
    assert figures(readings) == {
        "CHAIR": pytest.approx(100 * 2 / (0.001 + 4 + 1 + 0), rel=1e-12),
        "Cover": pytest.approx(100 * (2 + 1) / (0.001 + 3 + 1 + 2), rel=1e-12),
        "Hal": pytest.approx(100 - 100 * 2 / (0.001 + 3), rel=1e-12),
        "Cog": pytest.approx(100 * 1 / (0.001 + 2 + 3 + 1), rel=1e-12),
    }


def test_nothing_named_is_no_crash():
    assert figures([read("", ["sky"], ["sun"])])["CHAIR"] == 0 / 0.001
