"""AdamW with warm-up, a schedule and clipping."""

from typing import Literal

import jax.numpy as jnp
import optax
from jaxtyping import Array, Float

from jax_mdpo.core.config import config


@config
class OptimizerSettings:
    """learning_rate: the peak. warmup_ratio: the share of all steps that climbs to it linearly from zero. clip_norm: None for none."""

    learning_rate: float = 1e-5
    betas: tuple[float, float] = (0.9, 0.98)
    eps: float = 1e-8
    weight_decay: float = 0.05
    warmup_ratio: float = 0.1
    schedule: Literal["cosine", "linear", "constant"] = "cosine"
    clip_norm: float | None = 1.0

    def __post_init__(self) -> None:
        if self.learning_rate <= 0:
            raise ValueError("learning_rate must be above 0")
        if not 0 <= self.warmup_ratio < 1:
            raise ValueError("warmup_ratio must be at least 0 and below 1")
        if not all(0 <= beta < 1 for beta in self.betas):
            raise ValueError("betas must be at least 0 and below 1")


def learning_rate(settings: OptimizerSettings, steps: int) -> optax.Schedule:
    """The learning rate of step n (from zero) of a run of `steps` steps, as transformers' schedulers of these names have it."""
    warmup = round(settings.warmup_ratio * steps)
    rest = max(steps - warmup, 1)
    peak = settings.learning_rate
    decay = {
        "cosine": optax.cosine_decay_schedule(peak, rest),
        "linear": optax.linear_schedule(peak, 0.0, rest),
        "constant": optax.constant_schedule(peak),
    }[settings.schedule]
    if not warmup:
        return decay
    return optax.join_schedules([optax.linear_schedule(0.0, peak, warmup), decay], [warmup])


def make_optimizer(settings: OptimizerSettings, steps: int) -> optax.GradientTransformation:
    """Clipping, then AdamW with decoupled weight decay."""
    adamw = optax.adamw(
        learning_rate(settings, steps), *settings.betas, eps=settings.eps, weight_decay=settings.weight_decay, mu_dtype=jnp.float32
    )
    return adamw if settings.clip_norm is None else optax.chain(optax.clip_by_global_norm(settings.clip_norm), adamw)


def global_norm(gradients: dict) -> Float[Array, ""]:
    """The Euclidean norm over all leaves."""
    return optax.tree.norm(gradients)
