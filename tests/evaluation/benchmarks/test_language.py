"""Natural-language parts: what is asked of nltk and spaCy, and what is said where they, or their data, are absent."""

import sys
from types import ModuleType, SimpleNamespace

import pytest

from jax_mdpo.evaluation.benchmarks.language import LanguageError
from jax_mdpo.evaluation.benchmarks.nouns import NltkNouns
from jax_mdpo.evaluation.benchmarks.word_vectors import SpacyVectors

PATHS = {"tokenizers/punkt_tab", "taggers/averaged_perceptron_tagger_eng", "corpora/wordnet.zip"}


@pytest.fixture
def nltk(monkeypatch):
    """A stand-in for nltk whose data folder holds the paths in `found`."""
    module = ModuleType("nltk")
    module.__version__ = "9.9"
    module.found = set(PATHS)

    def find(path):
        if path not in module.found:
            raise LookupError(path)

    module.data = SimpleNamespace(find=find, path=["/one", "/two"])
    module.word_tokenize = str.split
    module.pos_tag = lambda words: [(word, "NNPS" if word[0].isupper() else "NN" if word.endswith("s") else "VBN") for word in words]
    module.stem = SimpleNamespace(WordNetLemmatizer=lambda: SimpleNamespace(lemmatize=lambda word: word.rstrip("s")))
    module.corpus = SimpleNamespace(wordnet=SimpleNamespace(get_version=lambda: "3.0"))
    monkeypatch.setitem(sys.modules, "nltk", module)
    return module


def test_nouns_are_lemmas_of_words_tagged_nn_with_case_and_repeats(nltk):
    assert NltkNouns().load().function("seen Dogs dogs run dogs") == ["Dog", "dog", "dog"]


def test_nltk_parts_are_named_with_their_versions(nltk):
    assert NltkNouns().load().tools == {
        "tokeniser": "nltk 9.9, punkt_tab",
        "tagger": "nltk 9.9, averaged_perceptron_tagger_eng",
        "lemmatiser": "nltk 9.9, WordNet 3.0",
    }


def test_absent_data_is_named_with_what_to_install(nltk):
    nltk.found = {"tokenizers/punkt_tab"}
    with pytest.raises(LanguageError) as raised:
        NltkNouns().load()
    message = str(raised.value)
    assert "data averaged_perceptron_tagger_eng, wordnet is not on this machine" in message
    assert "python -m nltk.downloader averaged_perceptron_tagger_eng wordnet" in message
    assert "/one, /two" in message


@pytest.mark.parametrize(("part", "module"), [(NltkNouns(), "nltk"), (SpacyVectors(), "spacy")])
def test_an_absent_package_names_the_extra(monkeypatch, part, module):
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(LanguageError, match=rf"{module} is not installed[\s\S]*pip install 'jax-mdpo\[eval\]'"):
        part.load()


@pytest.fixture
def spacy(monkeypatch):
    """A stand-in for spaCy that has one model, /models/lg, and says how often a word was looked up."""
    module = ModuleType("spacy")
    module.__version__ = "3.9"
    module.looked_up = []
    module.vectors = [1]

    def make_doc(word):
        module.looked_up.append(word)
        return SimpleNamespace(word=word, similarity=lambda other: 1.0 if other.word[0] == word[0] else 0.25)

    def load(model):
        if model != "/models/lg":
            raise OSError(f"[E050] Can't find model {model!r}")
        meta = {"lang": "en", "name": "core_web_lg", "version": "3.8.0"}
        return SimpleNamespace(vocab=SimpleNamespace(vectors=module.vectors), make_doc=make_doc, meta=meta)

    module.load = load
    monkeypatch.setitem(sys.modules, "spacy", module)
    return module


def test_words_are_compared_by_the_vectors_of_the_named_model_and_looked_up_once(spacy):
    loaded = SpacyVectors(model="/models/lg").load()
    pairs = [("dog", "door"), ("dog", "sky"), ("dog", "door")]
    assert [loaded.function(*pair) for pair in pairs] == [1.0, 0.25, 1.0]
    assert sorted(spacy.looked_up) == ["dog", "door", "sky"]
    assert loaded.tools == {"word vectors": "en_core_web_lg 3.8.0 (spaCy 3.9)"}


def test_an_absent_model_is_named(spacy):
    with pytest.raises(LanguageError, match=r"no spaCy model 'en_core_web_lg'[\s\S]*python -m spacy download"):
        SpacyVectors().load()


def test_a_model_without_vectors_is_refused(spacy):
    spacy.vectors = []
    with pytest.raises(LanguageError, match=r"'/models/lg' has no word vectors"):
        SpacyVectors(model="/models/lg").load()
