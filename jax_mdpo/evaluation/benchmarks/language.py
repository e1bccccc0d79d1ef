"""Natural-language parts of the ecosystem: loaded when a scored part needs them, named with their versions, and asked for where absent.

A part is a @config dataclass of its settings with `load() -> Loaded`; it is a field of the benchmark that uses it, so another part, or
an object of one's own with the same method, takes its place.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from types import ModuleType
from typing import Any, Generic, TypeVar

from jax_mdpo.core.errors import UserError

F = TypeVar("F", bound=Callable[..., Any])


class LanguageError(UserError):
    """A tagger, lemmatiser, word list or word vectors that scoring needs are not on this machine."""


@dataclass(frozen=True)
class Loaded(Generic[F]):
    """A natural-language part that is ready. tools: what it is ("tagger") → name and version, as it stands beside the figures."""

    function: F
    tools: Mapping[str, str]


def nltk_with(data: Mapping[str, str]) -> ModuleType:
    """The nltk module, with these data packages found: the package's name → its path in nltk_data."""
    nltk = module("nltk")
    absent = [name for name, path in data.items() if not _found(nltk, path)]
    if absent:
        raise LanguageError(
            f"nltk's data {', '.join(absent)} is not on this machine",
            expected=f"it under one of: {', '.join(nltk.data.path)}",
            fix=f"python -m nltk.downloader {' '.join(absent)}, or set NLTK_DATA to the folder that holds it",
        )
    return nltk


def _found(nltk: ModuleType, path: str) -> bool:
    for candidate in (path, f"{path}.zip"):  # the downloader unpacks some packages and leaves others, such as wordnet, as they come
        try:
            nltk.data.find(candidate)
            return True
        except LookupError:
            continue
    return False


def spacy_model(model: str) -> Any:
    """The spaCy pipeline of an installed package's name or a folder's path."""
    spacy = module("spacy")
    try:
        return spacy.load(model)
    except OSError:
        raise LanguageError(
            f"there is no spaCy model {model!r}",
            expected="the name of an installed model, or the path of its folder",
            fix="python -m spacy download and the model's name, or name the folder that holds its config.cfg",
        ) from None


def spacy_name(pipeline: Any) -> str:
    """The name and version of a pipeline, with spaCy's own."""
    about = pipeline.meta
    return f"{about['lang']}_{about['name']} {about['version']} (spaCy {module('spacy').__version__})"


def module(name: str, *, extra: str = "eval") -> ModuleType:
    """A module that an optional extra installs."""
    try:
        return import_module(name)
    except ImportError:
        raise LanguageError(f"{name} is not installed", fix=f"pip install 'jax-mdpo[{extra}]'") from None


Nouns = Callable[[str], Sequence[str]]  # a text → its nouns, as lemmas, repeats kept
Similarity = Callable[[str, str], float]  # two words → the cosine of their vectors
