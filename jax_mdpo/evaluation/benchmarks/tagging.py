"""Lemmas and tags of a short text by spaCy, as Object HalBench's tool reads what its judge names."""

from collections.abc import Callable, Sequence
from threading import Lock
from typing import NamedTuple, Protocol, runtime_checkable

from jax_mdpo.core.config import config
from jax_mdpo.evaluation.benchmarks.language import Loaded, spacy_model, spacy_name


class Token(NamedTuple):
    """A token's lemma and its tag in the Penn Treebank's set."""

    lemma: str
    tag: str


Tag = Callable[[str], Sequence[Token]]


@runtime_checkable
class Tagger(Protocol):
    """What tags and lemmatises a text; it is called from several threads."""

    def load(self) -> Loaded[Tag]: ...


@config
class SpacyTagger:
    """A spaCy pipeline. model: an installed model, or its folder; the official tool uses en_core_web_trf."""

    model: str = "en_core_web_trf"

    def load(self) -> Loaded[Tag]:
        pipeline = spacy_model(self.model)
        one_at_a_time = Lock()  # a pipeline promises nothing about threads

        def tag(text: str) -> Sequence[Token]:
            with one_at_a_time:
                return [Token(token.lemma_, token.tag_) for token in pipeline(text)]

        return Loaded(tag, {"tagger": spacy_name(pipeline)})
