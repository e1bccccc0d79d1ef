"""Several hard negatives, one of them for each record and epoch."""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from jax_mdpo.core.config import config
from jax_mdpo.core.records import Record
from jax_mdpo.data.hard_negatives.protocol import check, fingerprint


@config
class Mixture:
    """One of several corruptions, picked at random.

    of: hard negatives, and corruptions that run on the device: whoever makes the negative picks one and hands it on, so that a mixture
    itself makes no image. weights: how often each is picked relative to the others; equally often where none are given.
    """

    of: tuple[Any, ...]
    weights: tuple[float, ...] | None = None

    def __post_init__(self) -> None:
        if not self.of:
            raise ValueError("of must name at least one hard negative, for example [{name: crop}, {name: blur}]")
        for part in self.of:
            if isinstance(part, Mixture):
                raise ValueError("of holds a mixture: put its parts into this one, their weights multiplied by its own")
            if isinstance(part, str | Mapping):
                raise ValueError(f"of must hold hard negatives, got {part!r}")
        if self.weights is None:
            return
        if len(self.weights) != len(self.of):
            raise ValueError(f"weights must be one for each of the {len(self.of)} in of, got {len(self.weights)}")
        if not all(0 < weight < math.inf for weight in self.weights):
            raise ValueError(f"weights must be positive and finite, got {self.weights}")

    def pick(self, rng: np.random.Generator) -> int:
        """The place in `of` of a random one."""
        return int(rng.choice(len(self.of), p=self.shares))

    @property
    def shares(self) -> tuple[float, ...]:
        """How likely each is picked; their sum is 1."""
        weights = self.weights or (1.0,) * len(self.of)
        scaled = [weight / max(weights) for weight in weights]  # a sum of very large ones would be infinite
        return tuple(weight / sum(scaled) for weight in scaled)

    def check(self, record: Record) -> None:
        """Raises RecordError where one of them cannot be made from the record: any may be picked."""
        for part in self.of:
            check(part, record)

    def fingerprint(self) -> str:
        """What its images depend on."""
        return f"{self.shares} of {', '.join(fingerprint(part) for part in self.of)}"
