"""Views whose summed log-probs are known, without a model."""

from collections.abc import Mapping, Sequence

import jax
import jax.numpy as jnp
import numpy as np

from jax_mdpo.core.tokens import Tokens
from jax_mdpo.core.views import CHOSEN, CLEAN, NEGATIVE, REJECTED, View
from jax_mdpo.objectives.term import Term, Views, started

CLEAN_CHOSEN, CLEAN_REJECTED, NEGATIVE_CHOSEN = View(CLEAN, CHOSEN), View(CLEAN, REJECTED), View(NEGATIVE, CHOSEN)
Sums = Mapping[View, Sequence[float]]
Lengths = Mapping[View, Sequence[int]]


def evaluated(policy: Sums, reference: Sums | None = None, lengths: Lengths | None = None, *terms: Term) -> Views:
    """Each summed log-prob spread evenly over its response's tokens: two where no length is given, none at length 0.

    terms: whose running values are as before the first step.
    """
    given = {"policy": policy, "reference": reference or {}}
    tokens = {
        (model, view): _spread(sums, (lengths or {}).get(view, [2] * len(sums))) for model, of in given.items() for view, sums in of.items()
    }
    return Views(tokens, started(terms))


def _spread(sums: Sequence[float], lengths: Sequence[int]) -> Tokens:
    width = max(max(lengths), 1) + 1  # at least one position that is not scored
    scored = np.arange(width) < np.asarray(lengths)[:, None]
    each = np.asarray(sums, np.float32) / np.maximum(lengths, 1)
    return Tokens(jnp.asarray(np.where(scored, each[:, None], 0.0), jnp.float32), jnp.asarray(scored))


def token_gradients(term: Term, views: Views) -> dict[View, jax.Array]:
    """∂ (summed loss) / ∂ (the policy's log-prob of each token), by view."""
    policy = {view: tokens.logps for (model, view), tokens in views.tokens.items() if model == "policy"}

    def loss(logps: dict[View, jax.Array]) -> jax.Array:
        replaced = {("policy", view): views.tokens["policy", view]._replace(logps=values) for view, values in logps.items()}
        return jnp.sum(term(Views({**views.tokens, **replaced}, views.memory)).loss)

    return jax.grad(loss)(policy)
