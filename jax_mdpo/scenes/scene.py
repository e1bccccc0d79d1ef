"""Scenes: which objects stand in one, by the prior that partners stand together."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from jax_mdpo.core.config import config
from jax_mdpo.core.seeds import generator
from jax_mdpo.scenes.kinds import NAMES, PAIRS, PARTNER

KEPT, BROKEN = PARTS = ("kept", "broken")


@config
class WorldSettings:
    """What the world is like.

    seed: of its scenes and their pictures.
    prior: how often a pair of partners stands whole; else one of the two stands alone.
    frequency: how much more often the first pair of the list is drawn than the last one; between them it falls evenly.
    most_pairs: of a scene, which has one to so many of them.
    """

    seed: int = 0
    prior: float = 0.88
    frequency: float = 2.0
    most_pairs: int = 3

    def __post_init__(self) -> None:
        if not 0.5 < self.prior < 1:
            raise ValueError(f"prior must be above 0.5 and below 1, got {self.prior}: partners stand together, but not always")
        if self.frequency < 1:
            raise ValueError(f"frequency must be at least 1, got {self.frequency}")
        if not 1 <= self.most_pairs <= 4:
            raise ValueError(f"most_pairs must be 1 to 4, got {self.most_pairs}: a picture has room for nine objects")


@dataclass(frozen=True)
class Scene:
    """objects: the names of what stands in it, in the order of NAMES."""

    objects: tuple[str, ...]

    @property
    def missing(self) -> tuple[str, ...]:
        """The partners of what stands alone, in the order of NAMES."""
        return in_order(PARTNER[name] for name in self.objects if PARTNER[name] not in self.objects)

    @property
    def part(self) -> str:
        """Whether every object has its partner beside it."""
        return BROKEN if self.missing else KEPT


def in_order(names: Iterable[str]) -> tuple[str, ...]:
    """These names, each once, in the order of NAMES."""
    chosen = set(names)
    return tuple(name for name in NAMES if name in chosen)


def scene_of(world: WorldSettings, split: str, index: int, part: str | None = None) -> Scene:
    """Scene number `index` of a split, always the same one. part: KEPT or BROKEN; as the prior has it where not given.

    In a broken scene one pair is broken, and the prior has the others.
    """
    rng = generator(world.seed, "scene", split, index)
    weights = np.linspace(world.frequency, 1, len(PAIRS))
    count = int(rng.integers(1, world.most_pairs + 1))
    drawn = rng.choice(len(PAIRS), size=count, replace=False, p=weights / weights.sum())
    whole = rng.random(count) < world.prior
    if part is not None:
        whole = np.arange(count) > 0 if part == BROKEN else np.ones(count, bool)
    objects: list[str] = []
    for pair, both in zip(drawn, whole, strict=True):
        objects += PAIRS[pair] if both else [PAIRS[pair][int(rng.integers(2))]]
    return Scene(in_order(objects))
