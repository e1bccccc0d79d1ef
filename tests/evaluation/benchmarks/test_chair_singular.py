"""Singulars by spelling: each rule once, with what it does to words that it was not meant for."""

import pytest

from jax_mdpo.evaluation.benchmarks.singular import singular


@pytest.mark.parametrize(
    ("word", "expected"),
    [
        # the last rule drops any s
        ("dogs", "dog"),
        ("bus", "bu"),
        ("glass", "glas"),
        ("tennis", "tenni"),
        ("this", "thi"),
        ("skis", "ski"),
        # es after a sibilant or o
        ("buses", "bus"),
        ("glasses", "glass"),
        ("benches", "bench"),
        ("boxes", "box"),
        ("toothbrushes", "toothbrush"),
        ("potatoes", "potato"),
        ("shoes", "shoe"),
        ("horses", "horse"),
        ("vases", "vase"),
        # y
        ("puppies", "puppy"),
        ("ties", "ty"),
        ("movies", "movie"),
        ("cookies", "cookies"),
        ("collies", "collies"),
        # ves
        ("knives", "knife"),
        ("wolves", "wolf"),
        ("scarves", "scarf"),
        ("gloves", "glove"),
        ("sleeves", "sleeve"),
        ("leaves", "leaf"),
        # irregular endings, inside longer words too
        ("people", "person"),
        ("women", "woman"),
        ("children", "child"),
        ("grandchildren", "grandchild"),
        ("geese", "goose"),
        ("feet", "foot"),
        ("teeth", "tooth"),
        ("oxen", "ox"),
        ("oxens", "oxs"),
        ("four", "fmy"),
        ("mice", "mouse"),
        ("slice", "slouse"),
        # no plural, and tails of such words
        ("scissors", "scissors"),
        ("luggage", "luggage"),
        ("series", "series"),
        ("news", "news"),
        ("ears", "ears"),  # shEARS
        ("s", "s"),
        # classical endings
        ("matrices", "matrix"),
        ("indices", "index"),
        ("safari", "safarus"),
        ("taxi", "taxi"),
        ("data", "datum"),
        ("pizza", "pizza"),
        ("analyses", "analysis"),
        ("bases", "basis"),
        ("roses", "rose"),
        ("mothers-in-law", "mother-in-law"),
        ("skiers'", "skier's"),
        ("sheep", "sheep"),
        ("dog", "dog"),
        (".", "."),
        ("", ""),
    ],
)
def test_singular(word, expected):
    assert singular(word) == expected
