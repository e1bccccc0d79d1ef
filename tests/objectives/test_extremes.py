"""Every term over responses where log-probs are far out, and where responses have one scored token or none."""

import jax.numpy as jnp
import numpy as np
import pytest
from evaluated import CLEAN_CHOSEN, CLEAN_REJECTED, NEGATIVE_CHOSEN, evaluated, token_gradients

from jax_mdpo.core.tokens import Tokens
from jax_mdpo.objectives.anchored import Anchored
from jax_mdpo.objectives.bco import BCO
from jax_mdpo.objectives.dpo import DPO
from jax_mdpo.objectives.dpop import DPOP
from jax_mdpo.objectives.orpo import ORPO
from jax_mdpo.objectives.pointwise import Pointwise
from jax_mdpo.objectives.sft import SFT
from jax_mdpo.objectives.simpo import SimPO
from jax_mdpo.objectives.term import Term, Views

TERMS = [
    DPO(),
    DPO(label_smoothing=0.1, length_normalised=True),
    DPO(loss="robust", label_smoothing=0.3),
    DPO(loss="exo", label_smoothing=1e-3),
    DPO(loss="hinge", divergence="js"),
    DPO(loss="ipo"),
    DPO(loss="ipo", divergence="forward_kl"),
    DPO(divergence="forward_kl"),
    DPO(divergence="alpha", alpha=0.01, length_normalised=True),
    Anchored(),
    Anchored(view="rejected", delta=5.0),
    Anchored(view="negative"),
    DPOP(),
    SimPO(),
    ORPO(),
    SFT(),
    SFT(per="sequence"),
    BCO(),
    *(Pointwise(loss=loss) for loss in ("nca", "sppo", "apo_zero", "apo_down")),
]
FAR = [  # policy and reference, chosen and rejected; the negative image's like the chosen one's
    (-1e4, -1.0, -1.0, -1e4),
    (-1.0, -1e4, -1e4, -1.0),
    (-1e4, -1e4, -1e4, -1e4),
    (0.0, -1e4, 0.0, 0.0),
    (-1e4, 0.0, 0.0, 0.0),
    (0.0, 0.0, 0.0, 0.0),
    (-1e-7, -1e-7, -1e-3, -1e-3),
]


def far(term: Term, lengths: list[int]) -> Views:
    """Two rounds of the above, so that each stands with two lengths."""
    policy_chosen, policy_rejected, reference_chosen, reference_rejected = zip(*FAR, *FAR, strict=True)
    return evaluated(
        {CLEAN_CHOSEN: policy_chosen, CLEAN_REJECTED: policy_rejected, NEGATIVE_CHOSEN: policy_chosen},
        {CLEAN_CHOSEN: reference_chosen, CLEAN_REJECTED: reference_rejected, NEGATIVE_CHOSEN: reference_chosen},
        dict.fromkeys((CLEAN_CHOSEN, CLEAN_REJECTED, NEGATIVE_CHOSEN), lengths),
        term,
    )


@pytest.mark.parametrize("term", TERMS, ids=str)
def test_log_probs_far_out_stay_finite_in_value_and_gradient(term: Term):
    views = far(term, [1] * len(FAR) + [3] * len(FAR))
    outcome = term(views)
    assert np.isfinite(outcome.loss).all() and outcome.loss.dtype == jnp.float32
    assert all(np.isfinite(values).all() and values.shape == (2 * len(FAR),) for values in outcome.metrics.values())
    assert all(np.isfinite(gradient).all() for gradient in token_gradients(term, views).values())


@pytest.mark.parametrize("term", TERMS, ids=str)
def test_pairs_without_a_scored_token_stay_finite_and_leave_the_others_alone(term: Term):
    """What padding a batch makes: such pairs are masked later, but a NaN would pass any mask on the way back."""
    some, none = (far(term, [1] * len(FAR) + [3] * (len(FAR) - 1) + [last]) for last in (3, 0))
    kept = slice(0, 2 * len(FAR) - 1)
    outcome = term(none)
    assert np.isfinite(outcome.loss).all()
    assert outcome.loss[kept].tolist() == term(some).loss[kept].tolist()
    gradients, whole = token_gradients(term, none), token_gradients(term, some)
    for view, gradient in gradients.items():
        assert np.isfinite(gradient).all()
        assert gradient[kept].tolist() == whole[view][kept].tolist()


def test_no_response_at_all_is_as_if_both_models_agreed():
    nothing = Tokens(jnp.zeros((1, 3)), jnp.zeros((1, 3), bool))
    views = Views({(model, view): nothing for model in ("policy", "reference") for view in (CLEAN_CHOSEN, CLEAN_REJECTED)})
    assert DPO(length_normalised=True)(views).loss[0] == pytest.approx(np.log(2))
    assert SFT()(views).loss[0] == 0
    assert ORPO()(views).loss[0] == pytest.approx(np.log(2))
