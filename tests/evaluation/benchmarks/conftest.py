"""A small AMBER of our own, fakes in the place of natural-language parts, and the official files where they are."""

import json
import os
from pathlib import Path

import pytest

from jax_mdpo.core.config import config
from jax_mdpo.evaluation.benchmarks.amber import Amber
from jax_mdpo.evaluation.benchmarks.language import Loaded

OFFICIAL = "JAX_MDPO_BENCHMARK_DATA"

ANNOTATIONS = [
    {"type": "generative", "truth": ["sky", "person"], "hallu": ["sun"]},
    {"type": "generative", "truth": ["dog"], "hallu": ["sky", "sun"]},
    {"type": "discriminative-attribute-state", "truth": "yes"},
    {"type": "discriminative-attribute-number", "truth": "no"},
    {"type": "discriminative-attribute-action", "truth": "no"},
    {"type": "discriminative-hallucination", "truth": "no"},
    {"type": "discriminative-relation", "truth": "yes"},
    {"type": "relation", "truth": "no"},
]
RELATED = {"sky": [], "person": ["man"], "sun": [], "dog": ["puppy"], "light": []}


@pytest.fixture
def amber(tmp_path):
    """A folder laid out as AMBER's data, with two images to describe and six questions."""
    root = tmp_path / "amber"
    (root / "query").mkdir(parents=True)
    numbered = list(enumerate(ANNOTATIONS, start=1))
    write(root / "annotations.json", [{"id": id, **annotation} for id, annotation in numbered])
    queries = [{"id": id, "image": f"AMBER_{id}.jpg", "query": f"Question {id}?"} for id, _ in numbered]
    write(root / "query" / "query_all.json", queries)
    write(root / "query" / "query_generative.json", queries[:2])
    write(root / "relation.json", RELATED)
    (root / "safe_words.txt").write_text("light")
    return root


def write(path, value):
    path.write_text(json.dumps(value))


@config
class Words:
    """Every word is a noun."""

    def load(self):
        return Loaded(str.split, {"tagger": "every word 1.0"})


@config
class Letters:
    """Words are alike that begin alike."""

    def load(self):
        return Loaded(lambda one, other: 0.9 if one[:2] == other[:2] else 0.0, {"word vectors": "letters 2.0"})


@config
class Absent:
    """A part that is not on this machine."""

    def load(self):
        raise AssertionError("loaded, though no scored part needs it")


@pytest.fixture
def with_words():
    """AMBER with fakes for its natural-language parts."""
    return Amber(nouns=Words(), similarity=Letters())


@pytest.fixture
def without_words():
    """AMBER whose natural-language parts must not be loaded."""
    return Amber(nouns=Absent(), similarity=Absent())


@pytest.fixture
def official():
    """The folder of a benchmark's official files by its name; skips where they are not on this machine."""

    def folder(name):
        root = os.environ.get(OFFICIAL)
        if root is None or not (Path(root) / name).is_dir():
            pytest.skip(f"the official files of {name} are not here: set {OFFICIAL} to the folder that holds {name}/")
        return Path(root) / name

    return folder
