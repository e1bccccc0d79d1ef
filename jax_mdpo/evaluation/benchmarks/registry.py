"""The benchmarks by the names that `jax-mdpo eval` knows, and what stands behind the names in their settings."""

from collections.abc import Mapping

from jax_mdpo.evaluation.benchmarks.amber import Amber
from jax_mdpo.evaluation.benchmarks.caption_words import NltkTokens, WordNetLemmas, Words
from jax_mdpo.evaluation.benchmarks.chair import Chair
from jax_mdpo.evaluation.benchmarks.judge import EndpointJudge
from jax_mdpo.evaluation.benchmarks.mmhal import MmHal
from jax_mdpo.evaluation.benchmarks.nouns import NltkNouns
from jax_mdpo.evaluation.benchmarks.object_halbench import ObjectHalBench
from jax_mdpo.evaluation.benchmarks.pairs import Pairs
from jax_mdpo.evaluation.benchmarks.pope import Pope
from jax_mdpo.evaluation.benchmarks.protocol import Reporting
from jax_mdpo.evaluation.benchmarks.tagging import SpacyTagger
from jax_mdpo.evaluation.benchmarks.word_vectors import SpacyVectors

BENCHMARKS: Mapping[str, type[Reporting]] = {
    "pope": Pope,
    "amber": Amber,
    "chair": Chair,
    "object-halbench": ObjectHalBench,
    "mmhal": MmHal,
    "pairs": Pairs,
}
PARTS: Mapping[str, Mapping[str, type]] = {  # by the setting that holds one; recipe/naming.py makes them
    "benchmark": BENCHMARKS,
    "nouns": {"nltk": NltkNouns},
    "similarity": {"spacy": SpacyVectors},
    "tokens": {"nltk": NltkTokens, "words": Words},
    "lemmas": {"wordnet": WordNetLemmas},
    "tagger": {"spacy": SpacyTagger},
    "judge": {"endpoint": EndpointJudge},
}
