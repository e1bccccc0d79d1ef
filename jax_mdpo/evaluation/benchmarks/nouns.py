"""The nouns of a text by nltk, as AMBER's tool finds them."""

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

from jax_mdpo.core.config import config
from jax_mdpo.evaluation.benchmarks.language import Loaded, Nouns, nltk_with

DATA = {
    "punkt_tab": "tokenizers/punkt_tab",
    "averaged_perceptron_tagger_eng": "taggers/averaged_perceptron_tagger_eng",
    "wordnet": "corpora/wordnet",
}


@runtime_checkable
class NounFinder(Protocol):
    """What finds the nouns of a text."""

    def load(self) -> Loaded[Nouns]: ...


@config
class NltkNouns:
    """nltk's word tokeniser and tagger: words whose tag starts with NN, lemmatised by WordNet as nouns. Nothing is lower-cased."""

    def load(self) -> Loaded[Nouns]:
        nltk = nltk_with(DATA)
        lemmatise = nltk.stem.WordNetLemmatizer().lemmatize

        def nouns(text: str) -> Sequence[str]:
            return [lemmatise(word) for word, tag in nltk.pos_tag(nltk.word_tokenize(text)) if tag.startswith("NN")]

        version = f"nltk {nltk.__version__}"
        tools = {
            "tokeniser": f"{version}, punkt_tab",
            "tagger": f"{version}, averaged_perceptron_tagger_eng",
            "lemmatiser": f"{version}, WordNet {nltk.corpus.wordnet.get_version()}",
        }
        return Loaded(nouns, tools)
