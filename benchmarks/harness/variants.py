"""jax_mdpo's step in its variants. One is what a user would write in a configuration, laid over the run's settings."""

from collections.abc import Mapping
from functools import partial
from typing import Any

from benchmarks.harness.compare import OURS, Program
from benchmarks.harness.work import shared


def ours(name: str, objective: str, *, feed: str = "ready", reference: bool = True, settings: Mapping[str, Any] | None = None) -> Program:
    """One variant. feed: see programs/ours.py. reference: False where the settings spare the step the reference's forward pass."""
    given = dict(settings or {})
    remat = given.get("model", {}).get("remat", "none")
    work = partial(shared, objective=objective, reference=reference, remat=remat)
    return Program(f"jax_mdpo, {name}", OURS, work, {"feed": feed, "settings": given})


def mdpo_variants(*, recomputed: bool) -> list[Program]:
    """Those that are compared with the authors' recipe."""
    variants = [ours("online", "mdpo")]
    if recomputed:
        variants.append(ours("online, MLP again", "mdpo", settings={"model": {"remat": "mlp"}}))
    return variants
