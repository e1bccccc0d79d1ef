"""From the views that objectives need to what runs: the fewest decoder passes, and what the head tells of their positions."""

from collections import defaultdict
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from typing import NamedTuple

from jax_mdpo.core.views import Model, Need, View


class Forward(NamedTuple):
    """One pass of a decoder: every image of `images` with every response of `responses` as a branch."""

    model: Model
    gradient: bool
    images: tuple[str, ...]
    responses: tuple[str, ...]


class Reading(NamedTuple):
    """What the head is asked of some views' positions, the same of all.

    likeliest: the likeliest token, which other views' `guesses` ask for. guesses: image variants whose likeliest tokens' logits are
    wanted here. divergence: from the reference's distribution. steep_logits: with a gradient through the tokens' logits.
    """

    model: Model
    gradient: bool
    likeliest: bool
    guesses: tuple[str, ...]
    divergence: bool
    steep_logits: bool
    views: tuple[View, ...]


class Plan(NamedTuple):
    """What runs for a set of needs. images: the distinct image variants. readings: each after those whose tokens it asks for."""

    images: tuple[str, ...]
    forwards: tuple[Forward, ...]
    readings: tuple[Reading, ...]


@dataclass
class _Wanted:
    """Of one view by one model, all needs together. A view needed both with and without a gradient runs once, with it."""

    gradient: bool = False
    likeliest: bool = False
    divergence: bool = False
    steep_logits: bool = False
    guesses: set[str] = field(default_factory=set)


def plan(needs: Iterable[Need], brought: Collection[View] = ()) -> Plan:
    """The fewest passes that serve `needs`: images that need the same responses share a pass, side by side.

    brought: views whose reference log-probs are known; they run only where more than these is asked of the reference.
    """
    wanted = _wanted(needs, brought)
    passes = {key: one.gradient for key, one in wanted.items()}
    for (_, view), one in wanted.items():
        if one.divergence:
            passes.setdefault(("reference", view), False)
    forwards = _forwards(passes)
    return Plan(tuple(sorted({image for forward in forwards for image in forward.images})), forwards, _readings(wanted))


def _wanted(needs: Iterable[Need], brought: Collection[View]) -> dict[tuple[Model, View], _Wanted]:
    wanted: dict[tuple[Model, View], _Wanted] = defaultdict(_Wanted)
    for need in needs:
        if need.model == "reference" and need.view in brought:
            continue
        one = wanted[need.model, need.view]
        one.gradient |= need.gradient
        one.divergence |= need.divergence
        one.steep_logits |= need.steep_logits
        if need.guess is not None:
            one.guesses.add(need.guess)
            wanted[need.model, need.view._replace(image=need.guess)].likeliest = True
    return dict(wanted)


def _forwards(passes: dict[tuple[Model, View], bool]) -> tuple[Forward, ...]:
    responses: dict[tuple[Model, bool, str], list[str]] = defaultdict(list)
    for (model, view), gradient in sorted(passes.items()):
        responses[model, gradient, view.image].append(view.response)
    images: dict[tuple[Model, bool, tuple[str, ...]], list[str]] = defaultdict(list)
    for (model, gradient, image), found in sorted(responses.items()):
        images[model, gradient, tuple(found)].append(image)
    return tuple(Forward(model, gradient, tuple(variants), found) for (model, gradient, found), variants in images.items())


def _readings(wanted: dict[tuple[Model, View], _Wanted]) -> tuple[Reading, ...]:
    views: dict[Reading, list[View]] = defaultdict(list)
    for (model, view), one in sorted(wanted.items(), key=lambda item: item[0]):
        asked = Reading(model, one.gradient, one.likeliest, tuple(sorted(one.guesses)), one.divergence, one.steep_logits, ())
        views[asked].append(view)
    readings = [asked._replace(views=tuple(found)) for asked, found in views.items()]
    return tuple(sorted(readings, key=lambda reading: (bool(reading.guesses), reading)))
