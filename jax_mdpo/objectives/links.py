"""From a log-ratio to the reward that an f-divergence from the reference implies, up to β; Wang et al. 2023 (f-DPO, arXiv 2309.16240).

Where the policy is held close to the reference by D_f = E_ref[f(u)], u = π_policy / π_reference, its implicit reward is β · f'(u) up to
a constant of the prompt, which a difference of two rewards loses. Each function gives f'(u) − f'(1) of the log-ratio ρ = log u, so that
it is 0 and its slope is f''(1) where both models agree. The f are the paper's; the authors' code (alecwangcq/f-divergence-dpo) has the
same f', with α in (0, 1) too:

reverse_kl  f = u log u                                          f' = log u + 1
forward_kl  f = −log u                                           f' = −1 / u
js          f = u log u − (u + 1) log((u + 1) / 2)               f' = log(2u / (1 + u))
alpha       f = (u^(1−α) − (1 − α) u − α) / (α (α − 1))          f' = (1 − u^(−α)) / α, between reverse_kl (α → 0) and forward_kl (α → 1)
"""

import math
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Literal

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

Divergence = Literal["reverse_kl", "forward_kl", "js", "alpha"]
STRAIGHT = 30.0  # nats


def reverse_kl(ratio: Float[Array, " E"], alpha: float | None) -> Float[Array, " E"]:
    """log u."""
    return ratio


def forward_kl(ratio: Float[Array, " E"], alpha: float | None) -> Float[Array, " E"]:
    """1 − 1 / u."""
    return -_expm1(-ratio)


def js(ratio: Float[Array, " E"], alpha: float | None) -> Float[Array, " E"]:
    """log(2u / (1 + u)), which is log σ(ρ) + log 2."""
    return jax.nn.log_sigmoid(ratio) + math.log(2)


def alpha_divergence(ratio: Float[Array, " E"], alpha: float | None) -> Float[Array, " E"]:
    """(1 − u^(−α)) / α."""
    assert alpha is not None, "check_divergence has seen to it"
    return -_expm1(-alpha * ratio) / alpha


def _expm1(x: Float[Array, " E"]) -> Float[Array, " E"]:
    """e^x − 1, which from x = 30 on goes straight ahead: a response that the policy all but rules out keeps a finite value and gradient.

    (TRL's stands still from 80 or 88.7 on, where a pair loses its gradient; the squares of the gradients have long left float32.)
    """
    top = math.exp(STRAIGHT)
    return jnp.where(x < STRAIGHT, jnp.expm1(jnp.minimum(x, STRAIGHT)), top * (1 + x - STRAIGHT) - 1)


LINKS: Mapping[Divergence, Callable[[Float[Array, " E"], float | None], Float[Array, " E"]]] = MappingProxyType(
    {"reverse_kl": reverse_kl, "forward_kl": forward_kl, "js": js, "alpha": alpha_divergence}
)


def check_divergence(divergence: Divergence, alpha: float | None) -> None:
    """Raises ValueError where α is missing, superfluous or no order of an α-divergence."""
    if divergence != "alpha" and alpha is not None:
        raise ValueError(f"alpha is the order of divergence alpha, but divergence is {divergence}: leave alpha out")
    if divergence == "alpha" and (alpha is None or not 0 < alpha < 1):
        raise ValueError(f"divergence alpha needs alpha between 0 (reverse_kl) and 1 (forward_kl), got {alpha}")
