"""What the image-reliance probe's figures say, in words, with the error that they are known to."""

import math
from collections.abc import Mapping
from typing import NamedTuple

NOTABLE = 0.1  # of the pairs: accuracies whose difference is known less exactly than that are not called equal


class _Comparison(NamedTuple):
    """The true image against another one on the same pairs (McNemar's test).

    pairs: how many. more: how many more are in the right order with the true image. changed: how many are so with one of the two only.
    """

    pairs: int
    more: int
    changed: int

    @property
    def error(self) -> float:
        """Of `more`: twice its deviation where each changed pair does so either way with probability ½ and the image has no effect.

        No less than 3, since that many unseen changes are compatible with none seen (rule of three, 95 %).
        """
        return max(2 * math.sqrt(self.changed), 3.0)

    @property
    def gain(self) -> int:
        """1 or −1 where the true image gives more or fewer right pairs, beyond the error; else 0."""
        return 0 if abs(self.more) <= self.error else int(math.copysign(1, self.more))

    def __str__(self) -> str:
        more, error, changed = (count / max(self.pairs, 1) for count in (self.more, self.error, self.changed))
        return f"{100 * more:+.1f} ± {100 * error:.1f} points; {changed:.1%} change"


def verdict(found: Mapping[str, float]) -> str:
    """What the figures say, in words. found: `pairs`, and accuracies and changes as shares of them, named as in `sums`."""
    blank, other = (_compared(found, name) for name in ("blank", "other"))
    figures = (
        f"{found['accuracy_true']:.1%} with the true image, {found['accuracy_blank']:.1%} with a blank one ({blank}), "
        f"{found['accuracy_other']:.1%} with another record's ({other})"
    )
    return f"image reliance: of {found['pairs']:.0f} held-out pairs in the right order: {figures}: {_conclusion(blank, other)}"


def _compared(found: Mapping[str, float], name: str) -> _Comparison:
    pairs = found["pairs"]
    more = (found["accuracy_true"] - found[f"accuracy_{name}"]) * pairs
    return _Comparison(round(pairs), round(more), round(found[f"changed_{name}"] * pairs))


def _conclusion(blank: _Comparison, other: _Comparison) -> str:
    few = NOTABLE * blank.pairs
    if min(blank.gain, other.gain) < 0:
        return "the true image misleads the model"
    if other.gain > 0:
        return "the model leans on the image"
    if blank.gain > 0:
        return "the model prefers by language and by there being an image, whichever it is"
    if max(blank.error, other.error) > few:
        return "too few pairs to tell whether the model looks at the image"
    if max(blank.changed, other.changed) > few:
        return "the image sways the model, but what it gets right it owes to language alone"
    return "the model prefers by language alone"
