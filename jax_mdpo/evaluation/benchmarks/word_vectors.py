"""How alike two words are, by the word vectors of a spaCy model."""

import warnings
from functools import cache, lru_cache
from typing import Protocol, runtime_checkable

from jax_mdpo.core.config import config
from jax_mdpo.evaluation.benchmarks.language import LanguageError, Loaded, Similarity, spacy_model, spacy_name


@runtime_checkable
class WordSimilarity(Protocol):
    """What says how alike two words are."""

    def load(self) -> Loaded[Similarity]: ...


@config
class SpacyVectors:
    """The cosine of the mean vectors of two words. model: an installed spaCy model, or its folder; AMBER's tool uses en_core_web_lg."""

    model: str = "en_core_web_lg"

    def load(self) -> Loaded[Similarity]:
        pipeline = spacy_model(self.model)
        if not len(pipeline.vocab.vectors):
            raise LanguageError(
                f"the spaCy model {self.model!r} has no word vectors",
                expected="a model with vectors, such as en_core_web_lg, whose figures are the published ones",
                fix="python -m spacy download en_core_web_lg, and similarity.model=en_core_web_lg",
            )
        document = lru_cache(maxsize=None)(pipeline.make_doc)  # vectors need the tokeniser alone, not the whole pipeline

        @cache
        def similarity(one: str, other: str) -> float:
            with warnings.catch_warnings():
                warnings.filterwarnings("ignore", r"\[W008\]")  # a word without a vector is like no other: 0, as in AMBER's tool
                return float(document(one).similarity(document(other)))

        return Loaded(similarity, {"word vectors": spacy_name(pipeline)})
