"""The variants of a record's image: which are wanted, and how those come about that are made from it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from jax_mdpo.core.records import Record
from jax_mdpo.core.seeds import generator
from jax_mdpo.core.views import BLANK, CLEAN, NEGATIVE, NONE, OTHER
from jax_mdpo.data.hard_negatives.mixture import Mixture
from jax_mdpo.data.hard_negatives.protocol import HardNegative, check

PROBES = (BLANK, OTHER)  # what a record without an image simply has not
SEED_NAMES = {NEGATIVE: "hard_negative"}
ON_HOST = np.zeros(3, np.uint32)  # no corruption on the device


class Draw(NamedTuple):
    """One variant of one record in one epoch. maker: a hard negative, or a corruption that the device carries out.

    rng: of a hard negative. words: the number of the device's corruption, from 1, and its key; zeros for a hard negative.
    """

    maker: Any
    rng: np.random.Generator
    words: np.ndarray


@dataclass(frozen=True)
class Variants:
    """wanted: the variants. makers: of those that are made: a hard negative, a corruption on the device, or a mixture of them.

    What is drawn depends on (seed, variant, record id, epoch) alone, so every model that looks at the pair sees the same pixels.
    """

    wanted: tuple[str, ...] = (CLEAN,)
    makers: Mapping[str, Any] = field(default_factory=dict)
    seed: int = 0

    def __post_init__(self) -> None:
        for variant in self.wanted:
            if variant not in (CLEAN, NONE, *self.makers):
                raise ValueError(f"the variant {variant!r} is asked for, but nothing is given that makes it")

    @property
    def made(self) -> tuple[str, ...]:
        """Those that a maker makes."""
        return tuple(variant for variant in self.wanted if variant in self.makers)

    @property
    def drawn(self) -> tuple[str, ...]:
        """Those that a corruption on the device may make."""
        return tuple(variant for variant in self.made if on_device(self.makers[variant]))

    @property
    def held(self) -> tuple[str, ...]:
        """The images that a batch holds: what the device alone makes, and what it hides, it makes from the clean one."""
        held = {variant for variant in self.made if any(isinstance(part, HardNegative) for part in parts(self.makers[variant]))}
        clean = {CLEAN} if {CLEAN, NONE} & set(self.wanted) or set(self.made) - held else set()
        return tuple(sorted(held | clean))

    def check(self, record: Record) -> None:
        """Raises RecordError where one of them cannot be made from `record`, before any image is read."""
        for variant in self.made:
            if variant not in PROBES:
                check(self.makers[variant], record)

    def draw(self, variant: str, record_id: str | int, epoch: int) -> Draw:
        """What makes a variant of a record in an epoch."""
        maker, number = self.makers[variant], 1
        rng = generator(self.seed, SEED_NAMES.get(variant, variant), record_id, epoch)
        if isinstance(maker, Mixture):
            number += maker.pick(rng)
            maker = maker.of[number - 1]
        if isinstance(maker, HardNegative):
            return Draw(maker, rng, ON_HOST)
        return Draw(maker, rng, np.array([number, *rng.integers(2**32, size=2)], np.uint32))


CLEAN_ONLY = Variants()


def parts(maker: Any) -> tuple[Any, ...]:
    """The hard negatives and corruptions of which one makes the variant."""
    return maker.of if isinstance(maker, Mixture) else (maker,)


def on_device(maker: Any) -> dict[int, Any]:
    """The corruptions among them that the device carries out, by the number in a draw's words."""
    return {number: part for number, part in enumerate(parts(maker), start=1) if not isinstance(part, HardNegative)}
