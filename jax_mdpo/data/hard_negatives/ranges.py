"""Ranges that settings draw from: checked once, here."""

import math

import numpy as np

Range = tuple[float, float]  # least, greatest


def check_range(name: str, values: Range, *, at_most: float = math.inf) -> None:
    """Raises ValueError unless 0 < least <= greatest <= at_most, and both are finite."""
    least, greatest = values
    if not (0 < least <= greatest <= at_most and math.isfinite(greatest)):
        bound = "" if math.isinf(at_most) else f" <= {at_most:g}"
        raise ValueError(f"{name} must be a range 0 < least <= greatest{bound}, got {values}")


def uniform(values: Range, rng: np.random.Generator) -> float:
    """A number drawn uniformly from the range."""
    return float(rng.uniform(*values))


def log_uniform(values: Range, rng: np.random.Generator) -> float:
    """A number whose logarithm is uniform: a ratio and its inverse are equally likely."""
    return math.exp(rng.uniform(math.log(values[0]), math.log(values[1])))
