"""In what the configurations of runs differ."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from jax_mdpo.recipe.reporting.subjects import Compared
from jax_mdpo.report.comparison import Settings, in_words

ABSENT = "–"
OWN = ("out",)  # every run has its own


def compared_settings(subjects: Sequence[Compared]) -> Settings:
    """The keys whose values differ between labels, or between the repetitions of one, and apart from them all others.

    A part that some have and some have not is named where it is missing; its own settings differ only among those that have it.
    """
    runs = [(place, [dict(_flat(run.settings)) for run in subject.runs]) for place, subject in enumerate(subjects) if subject.runs]
    found = list(dict.fromkeys(key for _, several in runs for settings in several for key in settings))
    sections = list(dict.fromkeys(key.partition(".")[0] for key in found))
    keys = sorted(found, key=lambda key: sections.index(key.partition(".")[0]))
    differing, common = [], []
    for key in keys:
        values = tuple(in_words([settings.get(key, ABSENT) for settings in several]) for _, several in runs)
        every = [settings for _, several in runs for settings in several]
        told = {settings.get(key, ABSENT) for settings in every}
        if any(all(part in settings for settings in every) for part in _parts_around(key)):
            told.discard(ABSENT)
        if len(told) == 1:
            common.append((key, next(iter(told))))
        elif key not in OWN:
            differing.append((key, values))
    return Settings(tuple(place for place, _ in runs), tuple(differing), tuple(common))


def _parts_around(key: str) -> Iterator[str]:
    """The keys that a dotted key lies below."""
    while "." in key:
        key = key.rpartition(".")[0]
        yield key


def _flat(values: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    """Dotted keys. A named part is its name, and what is in it; in a list it goes by its name: objectives.dpo.beta."""
    for key, value in values.items():
        if isinstance(value, Mapping) and value:
            if "name" in value:
                yield f"{prefix}{key}", str(value["name"])
            yield from _flat({inner: one for inner, one in value.items() if inner != "name"}, f"{prefix}{key}.")
        elif named := _by_name(value):
            yield f"{prefix}{key}", " + ".join(named)
            yield from _flat(named, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", str(value)


def _by_name(value: Any) -> dict[str, Mapping[str, Any]]:
    """The named parts of a list, a second one of the same name with its number; empty where it is no such list."""
    if not isinstance(value, list) or not all(isinstance(part, Mapping) and "name" in part for part in value):
        return {}
    found: dict[str, Mapping[str, Any]] = {}
    for place, part in enumerate(value):
        name = str(part["name"])
        inner = {key: inside for key, inside in part.items() if key != "name"}
        found[f"{name} {place + 1}" if name in found else name] = inner
    return found
