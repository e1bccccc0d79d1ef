"""The words of a caption: nltk's tokeniser and WordNet's lemmas, as the tools that count objects use them; and plain words."""

import re
from collections.abc import Callable, Sequence
from typing import Protocol, runtime_checkable

from jax_mdpo.core.config import config
from jax_mdpo.evaluation.benchmarks.language import Loaded, nltk_with

Split = Callable[[str], Sequence[str]]  # a text → its words
Lemma = Callable[[str], str]  # a lower-case word → its lemma as a noun


@runtime_checkable
class Tokeniser(Protocol):
    """What splits a text into words."""

    def load(self) -> Loaded[Split]: ...


@runtime_checkable
class Lemmatiser(Protocol):
    """What finds the lemma of a word."""

    def load(self) -> Loaded[Lemma]: ...


@config
class NltkTokens:
    """nltk's `word_tokenize`: sentences by its Punkt model, then words in the manner of the Penn Treebank."""

    def load(self) -> Loaded[Split]:
        nltk = nltk_with({"punkt_tab": "tokenizers/punkt_tab"})
        return Loaded(nltk.word_tokenize, {"tokeniser": f"nltk {nltk.__version__}, punkt_tab"})


@config
class Words:
    """Runs of letters and digits, an apostrophe or a hyphen within them, and every other sign alone. Needs no data."""

    def load(self) -> Loaded[Split]:
        return Loaded(re.compile(r"\w+(?:['’-]\w+)*|[^\w\s]").findall, {"tokeniser": "plain words, not the official nltk word_tokenize"})


@config
class WordNetLemmas:
    """nltk's WordNet lemmatiser, every word taken as a noun."""

    def load(self) -> Loaded[Lemma]:
        nltk = nltk_with({"wordnet": "corpora/wordnet"})
        nltk.corpus.wordnet.ensure_loaded()  # its first use is not safe in threads
        version = nltk.corpus.wordnet.get_version()
        return Loaded(nltk.stem.WordNetLemmatizer().lemmatize, {"lemmatiser": f"nltk {nltk.__version__}, WordNet {version}"})
