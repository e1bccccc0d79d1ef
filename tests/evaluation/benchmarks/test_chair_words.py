"""The default tokeniser, lemmatiser and tagger: what they say where they are absent, and what they do where their data is."""

import sys

import pytest

from jax_mdpo.evaluation.benchmarks.caption_words import NltkTokens, WordNetLemmas
from jax_mdpo.evaluation.benchmarks.language import LanguageError
from jax_mdpo.evaluation.benchmarks.tagging import SpacyTagger


@pytest.mark.parametrize(("part", "library"), [(NltkTokens(), "nltk"), (WordNetLemmas(), "nltk"), (SpacyTagger(), "spacy")])
def test_an_absent_library_is_named_with_its_extra(part, library, monkeypatch):
    monkeypatch.setitem(sys.modules, library, None)
    with pytest.raises(LanguageError, match=rf"{library} is not installed(.|\n)*jax-mdpo\[eval\]"):
        part.load()


@pytest.mark.parametrize(("part", "data"), [(NltkTokens(), "punkt_tab"), (WordNetLemmas(), "wordnet")])
def test_absent_data_is_named_with_what_fetches_it(part, data, monkeypatch, tmp_path):
    nltk = pytest.importorskip("nltk", reason="the default tokeniser and lemmatiser are nltk's")
    monkeypatch.setattr(nltk.data, "path", [str(tmp_path)])
    with pytest.raises(LanguageError, match=rf"{data}(.|\n)*python -m nltk.downloader {data}"):
        part.load()


def loaded(part):
    pytest.importorskip("nltk", reason="the default tokeniser and lemmatiser are nltk's")
    try:
        return part.load()
    except LanguageError as error:
        pytest.skip(str(error).splitlines()[0])


def test_sentences_end_within_a_caption():
    tokens = loaded(NltkTokens())
    assert tokens.function("a dog. the cat's tail.") == ["a", "dog", ".", "the", "cat", "'s", "tail", "."]
    assert "punkt_tab" in tokens.tools["tokeniser"]


def test_lemmas_are_those_of_nouns():
    lemmas = loaded(WordNetLemmas())
    assert [lemmas.function(word) for word in ("dogs", "glasses", "women", "bus", "sitting")] == ["dog", "glass", "woman", "bus", "sitting"]
    assert "WordNet" in lemmas.tools["lemmatiser"]
