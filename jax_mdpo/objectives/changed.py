"""Token weights for what one answer says in place of the other's words."""

from typing import ClassVar

import jax.numpy as jnp

from jax_mdpo.core.config import config
from jax_mdpo.core.views import Need, View
from jax_mdpo.objectives.term import Views
from jax_mdpo.objectives.weighting import Weights


@config
class Changed:
    """λ_t = 1 + extra where the token stands in a stretch that the chosen and the rejected answer word differently, else 1.

    Which tokens those are is found when the batch is made (data/rewording.py). CHiP's segment term (Fu et al. 2025, arXiv 2501.16629) as
    its code has it (LVUGAI/CHiP, where 1 + extra is `dpo_token_weight`: 4 for LLaVA-1.6, 2 for Muffin): policy and reference are
    weighted alike, so the loss at the start is that without weights. With `dpo` alone it is the weighting of RLHF-V's DDPO.
    """

    of_reference: ClassVar[bool] = True
    whole_batch: ClassVar[bool] = False
    extra: float = 3.0

    def __post_init__(self) -> None:
        if self.extra < 0:
            raise ValueError(f"extra is what a changed token weighs beyond 1, at least 0; got {self.extra}")

    def needs(self, view: View) -> frozenset[Need]:
        """Which tokens of the answer are reworded."""
        return frozenset({Need("policy", view, changed=True)})

    def __call__(self, views: Views, view: View, *, preferred: bool) -> Weights:
        tokens = views.tokens["policy", view]
        assert tokens.changed is not None, "the batch was made for terms that ask for it"
        share = jnp.sum(tokens.changed & tokens.scored, axis=-1) / views.length(view)
        return Weights(1.0 + self.extra * tokens.changed, {f"tokens/weighted_{view.response}": share})
