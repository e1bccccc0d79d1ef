"""Whether figures of two evaluations may be compared: the same tools, options and items."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from jax_mdpo.evaluation.bootstrap import Key
from jax_mdpo.recipe.reporting.sources import Evaluation
from jax_mdpo.report.comparison import in_words

HARMLESS = ("at_once", "retries", "attempts", "timeout", "cache", "key")  # of a judge: how it is asked, not what it says
WHO = ("model", "adapter", "weights", "run", "step")  # of made_by: what is meant to differ
ABSENT = "none"


def unlike(one: Sequence[Evaluation], other: Sequence[Evaluation]) -> list[str]:
    """The tools and options in which any of these differ: "judge: a / b". Figures that were read by different rules are not compared."""
    return _differing([dict(_read_by(evaluation.metrics)) for evaluation in (*one, *other)])


def asked_otherwise(one: Sequence[Evaluation], other: Sequence[Evaluation]) -> list[str]:
    """In what the ways differ in which the models were asked, where the files say so: decoding, what was added to the questions."""
    made_by = [made for evaluation in (*one, *other) if (made := evaluation.metrics.get("made_by"))]
    return _differing([dict(_flat({key: value for key, value in made.items() if key not in WHO}, "")) for made in made_by])


def _differing(several: Sequence[Mapping[str, str]]) -> list[str]:
    keys = dict.fromkeys(key for values in several for key in values)
    found = {key: dict.fromkeys(values.get(key, ABSENT) for values in several) for key in keys}
    return [f"{key}: {' / '.join(values)}" for key, values in found.items() if len(values) > 1]


def shared(evaluations: Sequence[Evaluation]) -> list[Key]:
    """The items that all of them answered: the same part, id, question and image."""
    first, *others = [evaluation.items or {} for evaluation in evaluations]
    return [key for key, item in first.items() if all(key in items and _asked(items[key]) == _asked(item) for items in others)]


def remarks(evaluations: Sequence[Evaluation]) -> list[str]:
    """What stands under a label's figures: its items, tools, and what is not in them."""
    metrics = [evaluation.metrics for evaluation in evaluations]
    notes = [f"{_each([sum(one.get('items', {}).values()) for one in metrics])} items"]
    if steps := [evaluation.step for evaluation in evaluations if evaluation.step is not None]:
        notes.append(f"after step {in_words(steps)}")
    if len(evaluations) > 1:
        notes.append(f"{len(evaluations)} repetitions")
    notes += [f"absent: {part}" for part in dict.fromkeys(part for one in metrics for part in one.get("absent", ()))]
    for kind in _keys(metrics, "left_out"):
        notes.append(f"left out: {_each([len(one.get('left_out', {}).get(kind, ())) for one in metrics])} × {kind}")
    notes += [f"{name}: {_each([one.get('counts', {}).get(name, 0) for one in metrics])}" for name in _keys(metrics, "counts")]
    for name in _keys(metrics, "tools"):
        notes.append(f"{name}: {in_words([one['tools'][name] for one in metrics if name in one.get('tools', {})])}")
    return [*notes, *dict.fromkeys(remark for one in metrics for remark in one.get("remarks", ()))]


def _asked(item: Any) -> tuple[str, object]:
    return item.question.text, item.question.image


def _read_by(metrics: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for name, tool in metrics.get("tools", {}).items():
        yield name, str(tool)
    yield from _flat(metrics["options"], "option ")


def _flat(values: Mapping[str, Any], prefix: str) -> Iterator[tuple[str, str]]:
    for name, value in values.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{name}.")
        elif name not in HARMLESS:
            yield f"{prefix}{name}", str(value)


def _keys(metrics: Sequence[Mapping[str, Any]], of: str) -> list[str]:
    return list(dict.fromkeys(name for one in metrics for name in one.get(of, {})))


def _each(counts: Sequence[int]) -> str:
    return in_words([f"{count:,}" for count in counts])
