"""How sure a share is, and how far judges agree beyond chance."""

import math
from collections import Counter
from collections.abc import Hashable, Sequence

NORMAL_95 = 1.959964  # standard deviations on either side that hold 95 % of a normal distribution


def wilson(share: float, count: int) -> tuple[float, float]:
    """The 95 % interval of a share that was seen in `count` independent trials (Wilson, JASA 1927); count is above 0."""
    square = NORMAL_95**2 / count
    middle = (share + square / 2) / (1 + square)
    half = NORMAL_95 * math.sqrt(share * (1 - share) / count + square / (4 * count)) / (1 + square)
    return max(middle - half, 0.0), min(middle + half, 1.0)


def agreement(first: Sequence[Hashable], second: Sequence[Hashable]) -> float:
    """The share of items on which two judges say the same; there is at least one item."""
    return sum(one == other for one, other in zip(first, second, strict=True)) / len(first)


def cohen_kappa(first: Sequence[Hashable], second: Sequence[Hashable]) -> float | None:
    """Two judges' agreement beyond that of their habits (Cohen 1960): 1 all, 0 none. None where both only ever say one same thing."""
    habits, others = Counter(first), Counter(second)
    return _beyond(agreement(first, second), sum(habits[answer] * others[answer] for answer in habits) / len(first) ** 2)


def fleiss_kappa(items: Sequence[Sequence[Hashable]]) -> float | None:
    """The same of several judges (Fleiss 1971). items: what each judge says of one; every item has as many judges, at least two."""
    judges = len(items[0])
    agreeing = sum(sum(count * (count - 1) for count in Counter(item).values()) for item in items) / (len(items) * judges * (judges - 1))
    said = Counter(answer for item in items for answer in item)
    return _beyond(agreeing, sum(count**2 for count in said.values()) / (len(items) * judges) ** 2)


def _beyond(seen: float, by_chance: float) -> float | None:
    return None if by_chance == 1 else (seen - by_chance) / (1 - by_chance)
