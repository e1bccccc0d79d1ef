"""UE-DPO's weights and loss as arithmetic on a few tokens; tests/training/test_uncertainty_step.py has a model's."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jax_mdpo.core.tokens import Tokens
from jax_mdpo.core.views import CHOSEN, CLEAN, NOISED, REJECTED, Need, View
from jax_mdpo.objectives.dpo import DPO
from jax_mdpo.objectives.term import Views
from jax_mdpo.objectives.uncertainty import Uncertainty
from jax_mdpo.objectives.weighting import log_ratio

CHOSEN_VIEW, REJECTED_VIEW = View(CLEAN, CHOSEN), View(CLEAN, REJECTED)


def views_of(rows: list[dict[str, list[float]]], *, length: int = 6, response: str = CHOSEN) -> Views:
    """A row a pair: sensitivity, uncertainty and the policy's logps of its tokens; the reference's are all −1. Padded with rubbish."""

    def padded(name: str, rubbish: float) -> jax.Array:
        return jnp.array([[*row[name], *[rubbish] * (length - len(row[name]))] for row in rows], jnp.float32)

    scored = jnp.array([[place < len(row["logps"]) for place in range(length)] for row in rows])
    logits = padded("logps", 50.0) + 3.0
    clear = Tokens(padded("logps", 0.0), scored, logits, guesses={NOISED: logits + padded("uncertainty", -70.0)})
    noised = Tokens(padded("logps", 0.0), scored, logits - padded("sensitivity", -99.0))
    reference = Tokens(jnp.where(scored, -1.0, 0.0), scored)
    view = View(CLEAN, response)
    return Views({("policy", view): clear, ("policy", View(NOISED, response)): noised, ("reference", view): reference})


def sigmoid(x: float) -> float:
    return 1 / (1 + math.exp(-x))


FIVE = {"sensitivity": [0.5, -1.0, 2.0, 0.0, 3.0], "uncertainty": [4.0, 1.0, 0.0, 3.0, 2.0], "logps": [-1.0, -2.0, -3.0, -4.0, -5.0]}


def test_preferred_tokens_of_little_sensitivity_weigh_more():
    """τ = 0.4 of five: the quantile is the third smallest sensitivity, 0.5; below it are the second and fourth token."""
    found = Uncertainty(alpha=0.3, tau=0.4)(views_of([FIVE]), CHOSEN_VIEW, preferred=True)
    quartile, spread = 1.0 + 0.25 * (3.0 - 1.0), 1.0  # of 1 and 3
    expected = [1, 1 + 0.3 * sigmoid((1.0 - quartile) / spread), 1, 1 + 0.3 * sigmoid((3.0 - quartile) / spread), 1]
    np.testing.assert_allclose(found.values[0, :5], expected, rtol=1e-6)
    assert float(found.metrics["tokens/weighted_chosen"][0]) == pytest.approx(2 / 5)
    assert float(found.metrics["tokens/uncertainty_chosen"][0]) == pytest.approx(10 / 5)
    assert float(found.metrics["tokens/sensitivity_chosen"][0]) == pytest.approx(4.5 / 5, rel=1e-5)


def test_dispreferred_tokens_of_much_sensitivity_weigh_less():
    """1 − τ = 0.6 of five: the quantile is the fourth smallest, 2; at or above it are the third and fifth token."""
    found = Uncertainty(alpha=0.3, tau=0.4)(views_of([FIVE], response=REJECTED), REJECTED_VIEW, preferred=False)
    quartile, spread = 0.25 * 2.0, 1.0  # of 0 and 2
    expected = [1, 1, 1 - 0.3 * sigmoid((0.0 - quartile) / spread), 1, 1 - 0.3 * sigmoid((2.0 - quartile) / spread)]
    np.testing.assert_allclose(found.values[0, :5], expected, rtol=1e-6)


def test_one_token_ties_and_none():
    one = {"sensitivity": [1.0], "uncertainty": [7.0], "logps": [-1.0]}
    tied = {"sensitivity": [1.0, 1.0, 1.0], "uncertainty": [7.0, 8.0, 9.0], "logps": [-1.0] * 3}
    none = {"sensitivity": [], "uncertainty": [], "logps": []}
    rows = [one, tied, none]
    preferred = Uncertainty(alpha=0.4)(views_of(rows), CHOSEN_VIEW, preferred=True)
    np.testing.assert_array_equal(preferred.values, 1.0)  # nothing is below a quantile that equals it
    other = Uncertainty(alpha=0.4)(views_of(rows, response=REJECTED), REJECTED_VIEW, preferred=False)
    half = 1 - 0.4 * 0.5
    assert float(other.values[0, 0]) == pytest.approx(half), "a deviation of zero"
    spread = math.sqrt(2 / 3)
    expected = [1 - 0.4 * sigmoid((u - 7.5) / spread) for u in (7.0, 8.0, 9.0)]
    np.testing.assert_allclose(other.values[1, :3], expected, rtol=1e-6)
    assert np.isfinite(other.values).all() and [float(m[2]) for m in other.metrics.values()] == [0, 0, 0]


def test_the_batch_as_scope():
    """Of the sensitivities −1, 0, 0.5, 1, 2, 3 the 0.4 quantile is the third, 0.5: below it is one token of each response."""
    first = {"sensitivity": [3.0, -1.0, 2.0], "uncertainty": [0.0, 1.0, 0.0], "logps": [-1.0] * 3}
    second = {"sensitivity": [0.5, 0.0, 1.0], "uncertainty": [0.0, 3.0, 0.0], "logps": [-1.0] * 3}
    found = Uncertainty(alpha=0.3, scope="batch")(views_of([first, second]), CHOSEN_VIEW, preferred=True)
    weights = [1 + 0.3 * sigmoid((u - 1.5) / 1.0) for u in (1.0, 3.0)]
    np.testing.assert_allclose(found.values[:, :3], [[1, weights[0], 1], [1, weights[1], 1]], rtol=1e-6)
    assert Uncertainty(scope="batch").whole_batch and not Uncertainty().whole_batch


def test_the_weight_multiplies_the_policy_alone_and_carries_no_gradient():
    views, weighting = views_of([FIVE]), Uncertainty(alpha=0.3)
    weights = np.asarray(weighting(views, CHOSEN_VIEW, preferred=True).values)[0, :5]
    ratio = log_ratio(views, CHOSEN_VIEW, weighting)
    assert float(ratio.policy[0]) == pytest.approx(float(weights @ FIVE["logps"]), rel=1e-6)
    assert float(ratio.reference[0]) == -5.0

    leaves, structure = jax.tree.flatten(dict(views.tokens))

    def value(scale):
        """Moves log-probs, logits and guesses alike."""
        floats = [scale * leaf if leaf.dtype == jnp.float32 else leaf for leaf in leaves]
        return log_ratio(Views(jax.tree.unflatten(structure, floats)), CHOSEN_VIEW, weighting).policy[0]

    assert float(jax.grad(value)(1.0)) == pytest.approx(float(weights @ FIVE["logps"]), rel=1e-6)


def test_alpha_zero_is_dpo_bit_for_bit():
    both = {**views_of([FIVE]).tokens, **views_of([FIVE], response=REJECTED).tokens}
    both["policy", REJECTED_VIEW] = both["policy", REJECTED_VIEW]._replace(logps=1.7 * both["policy", REJECTED_VIEW].logps)
    plain, weighted = DPO()(Views(both)), DPO(weights=Uncertainty(alpha=0.0))(Views(both))
    assert float(plain.loss[0]) == float(weighted.loss[0]) != math.log(2)


@pytest.mark.parametrize(("answers", "other"), [(CHOSEN, REJECTED), (REJECTED, CHOSEN)])
def test_the_tokens_of_one_answer_alone(answers, other):
    both, alone = Uncertainty(), Uncertainty(answers=answers)
    for response in (answers, other):
        views, view = views_of([FIVE], response=response), View(CLEAN, response)
        expected = both(views, view, preferred=response == CHOSEN).values if response == answers else jnp.ones((1, 6))
        np.testing.assert_array_equal(alone(views, view, preferred=response == CHOSEN).values, expected)
        assert (both(views, view, preferred=response == CHOSEN).values != 1).any()
    assert float(alone(views_of([FIVE], response=other), View(CLEAN, other), preferred=False).metrics[f"tokens/weighted_{other}"][0]) == 0


def test_extremes_stay_finite():
    wild = {"sensitivity": [1e4, -1e4, 0.0], "uncertainty": [1e4, 0.0, 1e4], "logps": [-1e4, -1e4, 0.0]}
    for preferred, response in ((True, CHOSEN), (False, REJECTED)):
        found = Uncertainty()(views_of([wild], response=response), View(CLEAN, response), preferred=preferred)
        assert np.isfinite(found.values).all() and (found.values >= 0).all()


def test_what_it_needs():
    needs = DPO(weights=Uncertainty()).needs()
    assert needs - DPO().needs() == {
        *(Need("policy", View(CLEAN, response), guess=NOISED) for response in (CHOSEN, REJECTED)),
        *(Need("policy", View(NOISED, response), gradient=False) for response in (CHOSEN, REJECTED)),
    }


@pytest.mark.parametrize(("fields", "message"), [({"alpha": 1.2}, "alpha"), ({"alpha": -0.1}, "alpha"), ({"tau": 1.5}, "tau")])
def test_settings_outside_their_range_are_refused(fields, message):
    with pytest.raises(ValueError, match=message):
        Uncertainty(**fields)
