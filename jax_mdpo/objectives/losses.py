"""From a margin to a loss: how far the preferred log-ratio should lie above the other one. One short function for each.

margin: u = u_w − u_l in nats, before β. ε: the share of pairs whose labels are believed to be flipped. All are finite wherever the
margin is, in value and gradient.
"""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Literal

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

Margin = Float[Array, " E"]
Loss = Literal["sigmoid", "robust", "exo", "hinge", "ipo"]


def preference_loss(preferred: Float[Array, " E"], other: Float[Array, " E"]) -> Float[Array, " E"]:
    """−log σ(preferred − other) of rewards in nats; Rafailov et al. 2023 (arXiv 2305.18290), equation 7."""
    return -jax.nn.log_sigmoid(preferred - other)


def sigmoid(margin: Margin, beta: float, smoothing: float) -> Float[Array, " E"]:
    """−(1 − ε) log σ(βu) − ε log σ(−βu). ε = 0 is DPO (arXiv 2305.18290), else conservative DPO, as in the authors' code
    (eric-mitchell/direct-preference-optimization): the loss that the flipped labels themselves would ask for.
    """
    kept, flipped = _log_sigmoids(beta * margin)
    return -(1 - smoothing) * kept - smoothing * flipped


def robust(margin: Margin, beta: float, smoothing: float) -> Float[Array, " E"]:
    """[−(1 − ε) log σ(βu) + ε log σ(−βu)] / (1 − 2ε): over random flips its mean is the loss of the true labels.

    Chowdhury et al. 2024 (arXiv 2403.00409). It may fall below 0.
    """
    kept, flipped = _log_sigmoids(beta * margin)
    return (-(1 - smoothing) * kept + smoothing * flipped) / (1 - 2 * smoothing)


def exo(margin: Margin, beta: float, smoothing: float) -> Float[Array, " E"]:
    """KL(p ‖ q) of p = (σ(βu), σ(−βu)) from the labels q = (1 − ε, ε); Ji et al. 2024 (arXiv 2402.00856), equation 16, as in TRL."""
    kept, flipped = _log_sigmoids(beta * margin)
    return jnp.exp(kept) * (kept - jnp.log1p(-smoothing)) + jnp.exp(flipped) * (flipped - jnp.log(smoothing))


def hinge(margin: Margin, beta: float, smoothing: float) -> Float[Array, " E"]:
    """max(0, 1 − βu); Zhao et al. 2023 (SLiC, arXiv 2305.10425), on log-ratios as in Liu et al. 2023 (RSO, arXiv 2309.06657)."""
    return jax.nn.relu(1 - beta * margin)


def ipo(margin: Margin, beta: float, smoothing: float) -> Float[Array, " E"]:
    """(u − 1 / 2β)²; Azar et al. 2023 (arXiv 2310.12036), equation 17, where β is called τ."""
    return (margin - 1 / (2 * beta)) ** 2


def _log_sigmoids(z: Float[Array, " E"]) -> tuple[Float[Array, " E"], Float[Array, " E"]]:
    """log σ(z) and log σ(−z)."""
    return jax.nn.log_sigmoid(z), jax.nn.log_sigmoid(-z)


LOSSES: Mapping[Loss, Callable[[Margin, float, float], Float[Array, " E"]]] = MappingProxyType(
    {"sigmoid": sigmoid, "robust": robust, "exo": exo, "hinge": hinge, "ipo": ipo}
)


def check_smoothing(loss: Loss, smoothing: float) -> None:
    """Raises ValueError where the loss would ignore the smoothing, or would be another loss without it."""
    if not 0 <= smoothing < 0.5:
        raise ValueError(f"label_smoothing is the share of flipped labels, from 0 to below 0.5; got {smoothing}")
    if loss in ("hinge", "ipo") and smoothing:
        raise ValueError(f"loss {loss} knows no label_smoothing: leave it out, or choose sigmoid, robust or exo")
    if loss in ("robust", "exo") and not smoothing:
        raise ValueError(f"loss {loss} needs label_smoothing above 0, the share of flipped labels (1e-3 where none are known)")


def check_beta(beta: float) -> None:
    """Raises ValueError where β is no inverse temperature."""
    if not beta > 0:
        raise ValueError(f"beta must be positive, got {beta}")
