"""What is known of a view's response tokens once a model has read them."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from jaxtyping import Bool, Float, Int

Array = Any  # numpy on the host, jax on the device


class Tokens(NamedTuple):
    """Of each pair's response, float32; zero where `scored` is False. E runs over the pairs, R over the positions of their rows.

    logps: log-probability of the token, in nats. scored: which positions hold a token of the response, its end token included.
    What follows is there where it was asked for (core/views.py):
    logits: the token's raw logit, wherever a model ran; without a gradient unless one was asked for.
    guesses: by image variant, the logit of the token that the model finds likeliest under that image; without a gradient.
    divergence: KL(reference ‖ policy) of the whole distribution, in nats.
    likeliest: the id of the token that the model finds likeliest here, where another view's `guesses` ask for it.
    changed: which tokens stand where the chosen and the rejected answer are worded differently (data/rewording.py).
    """

    logps: Float[Array, "E R"]
    scored: Bool[Array, "E R"]
    logits: Float[Array, "E R"] | None = None
    guesses: Mapping[str, Float[Array, "E R"]] = {}
    divergence: Float[Array, "E R"] | None = None
    likeliest: Int[Array, "E R"] | None = None
    changed: Bool[Array, "E R"] | None = None
