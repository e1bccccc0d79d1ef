"""The parts of a run that depend on its settings and its model's shapes alone: what `train` runs and `plan` compiles is the same."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import optax

from jax_mdpo.core.views import BLANK, CLEAN, NEGATIVE, NOISED, NONE, OTHER
from jax_mdpo.data.hard_negatives import Black, OtherImage
from jax_mdpo.data.variants import Variants, on_device
from jax_mdpo.models.actors import Actors, AdapterWeights
from jax_mdpo.models.checkpoint import Checkpoint
from jax_mdpo.models.images import Corruptions
from jax_mdpo.models.plan import plan
from jax_mdpo.recipe.adapters import fresh_adapter, stored_adapter
from jax_mdpo.recipe.settings import RunSettings
from jax_mdpo.training.optimizer import learning_rate, make_optimizer
from jax_mdpo.training.step import Loss, make_step


@dataclass(frozen=True)
class Parts:
    """step: (frozen, state, batch) → (state, metrics), as jax.jit makes it."""

    loss: Loss
    optimizer: optax.GradientTransformation
    step: Any


def make_parts(settings: RunSettings, actors: Actors, policy: AdapterWeights, *, steps: int) -> Parts:
    """The loss, the optimiser and the step of a run of `steps` steps."""
    loss = Loss(actors, settings.objectives, settings.batch.logits_chunk, corruptions_of(settings))
    optimizer = make_optimizer(settings.optimizer, steps)
    schedule = learning_rate(settings.optimizer, steps)
    step = make_step(loss, optimizer, schedule, accumulation=settings.batch.accumulation, dropout=policy.dropout > 0)
    return Parts(loss, optimizer, step)


def adapters_of(settings: RunSettings, checkpoint: Checkpoint) -> tuple[AdapterWeights, AdapterWeights | None]:
    """The policy's adapter, and the reference's where it has one."""
    reference = None if settings.reference_adapter is None else stored_adapter(Path(settings.reference_adapter), checkpoint)
    if settings.init_adapter is None:
        return fresh_adapter(settings.lora, checkpoint, seed=settings.seed), reference
    return stored_adapter(Path(settings.init_adapter), checkpoint, dropout=settings.lora.lora_dropout), reference


def images_of(settings: RunSettings) -> tuple[str, ...]:
    """The image variants that the terms need and that a tower looks at.

    Where they look at none, the clean one, which says how many tokens are hidden; nothing is computed from its pixels.
    """
    return tuple(image for image in plan(settings.needs).images if image != NONE) or (CLEAN,)


def variants_of(settings: RunSettings, images: Iterable[str]) -> Variants:
    """How these variants of an image come about."""
    makers = _makers(settings)
    wanted = tuple(images)
    return Variants(wanted, {variant: makers[variant] for variant in wanted if variant in makers}, settings.seed)


def corruptions_of(settings: RunSettings) -> Corruptions:
    """The part of it that the device carries out."""
    return {variant: made for variant, maker in _makers(settings).items() if (made := on_device(maker))}


def _makers(settings: RunSettings) -> dict[str, Any]:
    makers = {NEGATIVE: settings.hard_negative, NOISED: settings.noise, BLANK: Black(), OTHER: OtherImage()}
    return {variant: maker for variant, maker in makers.items() if maker is not None}
