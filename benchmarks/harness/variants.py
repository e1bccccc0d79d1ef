"""jax_mdpo's step in its variants. One is what a user would write in a configuration, laid over the run's settings."""

from collections.abc import Mapping
from functools import partial
from typing import Any

from benchmarks.harness.compare import OURS, Program
from benchmarks.harness.work import shared


def ours(name: str, objective: str, *, feed: str = "ready", cached: bool = False, settings: Mapping[str, Any] | None = None) -> Program:
    """One variant. feed, cached: see programs/ours.py."""
    given = dict(settings or {})
    remat = given.get("model", {}).get("remat", "none")
    work = partial(shared, objective=objective, cached=cached, remat=remat)
    options = {"feed": feed, "cached": cached, "settings": given}
    return Program(f"jax_mdpo, {name}", OURS, work, options, exact="quantization" not in given.get("model", {}))


def mdpo_variants(*, recomputed: bool) -> list[Program]:
    """Those that are compared with the authors' recipe. No product is computed again: elementwise is quicker than none, and smaller."""
    once = {"model": {"remat": "elementwise"}}
    variants = [ours("online", "mdpo", settings=once), ours("cached", "mdpo", cached=True, settings=once)]
    if recomputed:
        again = {"model": {"remat": "mlp"}}
        variants += [ours("online, MLP again", "mdpo", settings=again), ours("cached, MLP again", "mdpo", cached=True, settings=again)]
    return variants
