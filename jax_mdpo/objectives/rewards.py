"""The responses that terms compare, and what the log tells of their rewards; the one place that names these metrics."""

from collections.abc import Mapping

import jax.numpy as jnp
from jaxtyping import Array, Float

from jax_mdpo.core.views import CHOSEN, CLEAN, NEGATIVE, REJECTED, View
from jax_mdpo.objectives.term import Views

CHOSEN_VIEW = View(CLEAN, CHOSEN)
REJECTED_VIEW = View(CLEAN, REJECTED)
NEGATIVE_VIEW = View(NEGATIVE, CHOSEN)

Rewards = Mapping[View, Float[Array, " E"]]
Metrics = dict[str, Float[Array, " E"]]


def name_of(view: View) -> str:
    """A view's name in the log: of the true image the response's, of another image with the chosen response the image's, else both."""
    if view.image == CLEAN:
        return view.response
    return view.image if view.response == CHOSEN else f"{view.image}_{view.response}"


def described(views: Views, rewards: Rewards, *, of_reference: bool = True) -> Metrics:
    """`rewards/<name>` and `logps/<name>` of each view, in nats, and what the rewards say of each pair.

    rewards: what a term compares, with its β, and per token where it divides by lengths; before token weights and f-divergences, so
        that an implicit reward is 0 where policy and reference agree.
    of_reference: whether they are such rewards; otherwise their signs say nothing.
    rewards/margin, rewards/accuracy: chosen − rejected, and whether that is positive. rewards/conditional_accuracy: likewise for the
    true image against the negative one. rewards/chosen_positive: whether the chosen reward is at least 0; where it is not, the
    policy finds the preferred answer less likely than the reference does, which the margin hides and an anchor mends.
    """
    named = {f"rewards/{name_of(view)}": reward for view, reward in rewards.items()}
    positive = {"rewards/chosen_positive": _share(rewards[CHOSEN_VIEW] >= 0)} if of_reference and CHOSEN_VIEW in rewards else {}
    return named | positive | _compared(rewards) | logps_of(views, *rewards)


def logps_of(views: Views, *of: View) -> Metrics:
    """`logps/<name>`: the policy's summed log-prob of each view, in nats."""
    return {f"logps/{name_of(view)}": views.logp("policy", view) for view in of}


def _compared(rewards: Rewards) -> Metrics:
    chosen, rejected, negative = (rewards.get(view) for view in (CHOSEN_VIEW, REJECTED_VIEW, NEGATIVE_VIEW))
    found: Metrics = {}
    if chosen is not None and rejected is not None:
        found |= {"rewards/margin": chosen - rejected, "rewards/accuracy": _share(chosen > rejected)}
    if chosen is not None and negative is not None:
        found["rewards/conditional_accuracy"] = _share(chosen > negative)
    return found


def _share(holds: Array) -> Float[Array, " E"]:
    return holds.astype(jnp.float32)
