"""Rematerialisation: which results of a block's forward pass are kept for its backward pass; the others are computed again.

A policy is named after what it computes again. Results are kept by name, never by kind of operation: under a mesh a policy by kind
would keep the gathered weights too.
"""

from collections.abc import Callable
from typing import Any, Literal

import jax
from jax.ad_checkpoint import checkpoint_name

from jax_mdpo.sharding.logical import gathers

Remat = Literal["none", "elementwise", "mlp", "full"]
Kept = Literal["attention", "mlp", "adapter"]

# "attention": queries, keys, values, attention's output, its projection. "mlp": what the activation takes. "adapter": x · a.
KEPT: dict[Remat, tuple[Kept, ...]] = {
    "elementwise": ("attention", "mlp", "adapter"),
    "mlp": ("attention", "adapter"),
    "full": (),
}


def keep(x: jax.Array, name: Kept) -> jax.Array:
    """x, under the name by which a policy keeps it."""
    return checkpoint_name(x, name)


def rematerialised(body: Callable[..., Any], remat: Remat, *, scanned: bool) -> Callable[..., Any]:
    """`body` with its backward pass under the policy.

    none: keeps whatever differentiation asks for. elementwise: keeps every matrix product. mlp: keeps attention, computes the
    MLP again. full: keeps only the block's input. scanned: body is a scan's, which needs no guard against common subexpressions.
    """
    if remat == "none":
        return jax.checkpoint(body, policy=_all_but_gathered, prevent_cse=not scanned) if gathers() else body
    policy = jax.checkpoint_policies.save_only_these_names(*KEPT[remat])
    if "attention" in KEPT[remat]:
        policy = jax.checkpoint_policies.save_from_both_policies(policy, _cudnn)
    return jax.checkpoint(body, policy=policy, prevent_cse=not scanned)


def _all_but_gathered(primitive: Any, *_: Any, **__: Any) -> bool:
    """Everything but what a constraint on its partition puts together: every layer's whole weights would be kept."""
    return primitive.name != "sharding_constraint"


def _cudnn(primitive: Any, *_: Any, **__: Any) -> bool:
    """Whether these are the results of cuDNN's attention: it cannot name them itself, and without them its forward pass runs twice."""
    return primitive.name == "dot_product_attention_fwd_wrapper"
