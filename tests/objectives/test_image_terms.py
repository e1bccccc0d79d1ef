"""Terms that compare images, as arithmetic on a few tokens; tests/training/test_image_terms_step.py has a model's."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jax_mdpo.core.config import validate
from jax_mdpo.core.errors import ConfigError
from jax_mdpo.core.tokens import Tokens
from jax_mdpo.core.views import CHOSEN, CLEAN, CONTRAST, NEGATIVE, NOISED, NONE, REJECTED, Need, View
from jax_mdpo.objectives.anchored import Anchored
from jax_mdpo.objectives.changed import Changed
from jax_mdpo.objectives.chip import CHiP
from jax_mdpo.objectives.conditional import Conditional
from jax_mdpo.objectives.dpo import DPO
from jax_mdpo.objectives.margin_consistency import MarginConsistency
from jax_mdpo.objectives.preference import Preference
from jax_mdpo.objectives.term import Term, Views
from jax_mdpo.objectives.tpo import TPO
from jax_mdpo.objectives.v_dpo import VDPO

W, L, NEGATIVE_W = View(CLEAN, CHOSEN), View(CLEAN, REJECTED), View(NEGATIVE, CHOSEN)
CONTRAST_ON_CLEAN, CONTRAST_ON_NEGATIVE = View(CLEAN, CONTRAST), View(NEGATIVE, CONTRAST)
LENGTH = 4


def read(logps: list[float], rubbish: float = 0.0, **facts: list) -> Tokens:
    """One pair's response. facts: further fields of its tokens; beyond them stands what must never be read."""

    def padded(values: list, fill: float) -> jax.Array:
        kind = bool if values and isinstance(values[0], bool) else jnp.float32
        return jnp.array([[*values, *[fill] * (LENGTH - len(values))]], kind)

    scored = jnp.arange(LENGTH)[None] < len(logps)
    return Tokens(padded(logps, 0.0), scored, **{name: padded(values, rubbish) for name, values in facts.items()})


def views(policy: dict[View, Tokens], reference: dict[View, Tokens]) -> Views:
    given = {"policy": policy, "reference": reference}
    return Views({(model, view): found for model, of in given.items() for view, found in of.items()})


def loss(term: Term, found: Views) -> float:
    (value,) = term(found).loss
    return float(value)


def gradient(term: Term, found: Views, field: str = "logps") -> dict[tuple, np.ndarray]:
    """∂ loss / ∂ a field of the policy's and the reference's tokens, where they have it, without the padding."""
    given = {key: getattr(tokens, field) for key, tokens in found.tokens.items() if getattr(tokens, field) is not None}

    def of(values: dict) -> jax.Array:
        replaced = {key: found.tokens[key]._replace(**{field: value}) for key, value in values.items()}
        return jnp.sum(term(Views({**found.tokens, **replaced})).loss)

    return {key: np.asarray(value[0][found.tokens[key].scored[0]]) for key, value in jax.grad(of)(given).items()}


def sigmoid(x: float) -> float:
    return 1 / (1 + math.exp(-x))


def minus_log_sigmoid(x: float) -> float:
    return math.log1p(math.exp(-x))


POLICY = {
    W: read([-1.0, -2.0, -3.0]),
    L: read([-4.0, -5.0]),
    NEGATIVE_W: read([-2.0, -4.0, -6.0]),
    View(NONE, CHOSEN): read([-3.0, -3.0, -3.0]),
    View(NEGATIVE, REJECTED): read([-2.5, -2.5]),
    View(NONE, REJECTED): read([-5.0, -2.0]),
    CONTRAST_ON_CLEAN: read([-7.0]),
    CONTRAST_ON_NEGATIVE: read([-1.5]),
}
REFERENCE = {
    W: read([-2.0, -2.0, -4.0]),
    L: read([-3.0, -5.0]),
    NEGATIVE_W: read([-3.0, -3.0, -5.0]),
    View(NONE, CHOSEN): read([-4.0, -3.0, -3.0]),
    View(NEGATIVE, REJECTED): read([-3.0, -3.0]),
    View(NONE, REJECTED): read([-4.0, -2.5]),
    CONTRAST_ON_CLEAN: read([-6.0]),
    CONTRAST_ON_NEGATIVE: read([-2.0]),
}
RATIO = {  # log policy − log reference
    W: 2.0,
    L: -1.0,
    NEGATIVE_W: -1.0,
    View(NONE, CHOSEN): 1.0,
    View(NEGATIVE, REJECTED): 1.0,
    View(NONE, REJECTED): -0.5,
    CONTRAST_ON_CLEAN: -1.0,
    CONTRAST_ON_NEGATIVE: 0.5,
}
BOTH = views(POLICY, REFERENCE)
S_VCO = (
    (W, View(NONE, CHOSEN)),
    (View(NONE, CHOSEN), NEGATIVE_W),
    (View(NEGATIVE, REJECTED), View(NONE, REJECTED)),
    (View(NONE, REJECTED), L),
)
SYMMETRIC = ((W, CONTRAST_ON_CLEAN), (CONTRAST_ON_NEGATIVE, NEGATIVE_W))


@pytest.mark.parametrize(("preferred", "other"), [*S_VCO, *SYMMETRIC])
def test_any_two_views_are_compared(preferred, other):
    term = Preference(preferred=tuple(preferred), other=tuple(other), beta=0.5)
    margin = 0.5 * (RATIO[preferred] - RATIO[other])
    assert loss(term, BOTH) == pytest.approx(minus_log_sigmoid(margin), rel=1e-6)
    slopes = gradient(term, BOTH)
    np.testing.assert_allclose(slopes["policy", preferred], -0.5 * sigmoid(-margin), rtol=1e-5)
    np.testing.assert_allclose(slopes["policy", other], 0.5 * sigmoid(-margin), rtol=1e-5)
    assert {need.view for need in term.needs()} == {preferred, other}
    assert {need.gradient for need in term.needs() if need.model == "reference"} == {False}


def test_several_preferences_keep_their_names_apart():
    terms = [Preference(preferred=tuple(one), other=tuple(other)) for one, other in (*S_VCO, *SYMMETRIC)]
    assert [term.label for term in terms] == [
        "chosen_over_none",
        "none_over_negative",
        "negative_rejected_over_none_rejected",
        "none_rejected_over_rejected",
        "chosen_over_contrast",
        "negative_contrast_over_negative",
    ]
    metrics = terms[2](BOTH).metrics
    assert float(metrics["rewards/negative_rejected"][0]) == pytest.approx(0.1 * 1.0)
    assert float(metrics["rewards/none_rejected"][0]) == pytest.approx(0.1 * -0.5)
    assert float(metrics["rewards/negative_rejected_over_none_rejected_accuracy"][0]) == 1


def test_mdpo_s_image_term_is_one_of_them():
    general = Preference(preferred=(CLEAN, CHOSEN), other=(NEGATIVE, CHOSEN), beta=0.3)
    assert loss(Conditional(beta=0.3), BOTH) == loss(general, BOTH)
    assert Conditional().needs() == general.needs()
    assert Conditional().label == "conditional"


def test_a_preference_needs_two_views():
    with pytest.raises(ConfigError, match="are the same view"):
        validate(Preference, {"preferred": [CLEAN, CHOSEN], "other": [CLEAN, CHOSEN]}, where="objectives.0")
    with pytest.raises(ConfigError, match="'cleen'"):
        validate(Preference, {"preferred": ["cleen", CHOSEN], "other": [CLEAN, REJECTED]}, where="objectives.0")


def test_the_contrast_answer_s_anchor_keeps_it_up():
    term = Anchored(view="contrast", beta=0.5, delta=0.1)
    assert loss(term, BOTH) == pytest.approx(minus_log_sigmoid(0.5 * RATIO[CONTRAST_ON_NEGATIVE] - 0.1), rel=1e-6)
    assert {need.view for need in term.needs()} == {CONTRAST_ON_NEGATIVE} and term.label == "anchor_contrast"
    assert (gradient(term, BOTH)["policy", CONTRAST_ON_NEGATIVE] < 0).all()


def test_margins_are_squared_without_beta():
    term = MarginConsistency()
    clean, negative = RATIO[W] - RATIO[CONTRAST_ON_CLEAN], RATIO[CONTRAST_ON_NEGATIVE] - RATIO[NEGATIVE_W]
    outcome = term(BOTH)
    assert float(outcome.loss[0]) == pytest.approx((clean - negative) ** 2, rel=1e-6)
    assert float(outcome.metrics["margins/clean"][0]) == pytest.approx(clean)
    assert float(outcome.metrics["margins/negative"][0]) == pytest.approx(negative)
    slopes, slope = gradient(term, BOTH), 2 * (clean - negative)
    signs = {W: 1, CONTRAST_ON_CLEAN: -1, CONTRAST_ON_NEGATIVE: -1, NEGATIVE_W: 1}
    for view, sign in signs.items():
        np.testing.assert_allclose(slopes["policy", view], sign * slope, rtol=1e-6)
    assert {need.view for need in term.needs()} == set(signs)


COMPARED = {W: [0.5, 0.25, 0.0], L: [0.125, 2.0]}  # KL(reference ‖ policy) of each position


def hierarchical() -> Views:
    """Beside the log-probs the divergences, and which tokens are reworded: the chosen answer's last two, the rejected one's first."""
    marks = {W: [False, True, True], NEGATIVE_W: [False, True, True], L: [True, False]}
    policy = {
        view: tokens._replace(
            changed=None if view not in marks else jnp.array([marks[view] + [True] * (LENGTH - len(marks[view]))]),
            divergence=read([], **{"divergence": COMPARED[view]}).divergence if view in COMPARED else None,
        )
        for view, tokens in POLICY.items()
    }
    return views(policy, REFERENCE)


def test_chip_adds_margins_and_divergences_in_one_sigmoid():
    z = (RATIO[W] - RATIO[L]) + (RATIO[W] - RATIO[NEGATIVE_W]) - 0.3 * (2.125 - 0.75)
    term, found = CHiP(beta=0.5, token=0.3), hierarchical()
    assert loss(term, found) == pytest.approx(minus_log_sigmoid(0.5 * z), rel=1e-6)
    slopes, slope = gradient(term, found), 0.5 * sigmoid(-0.5 * z)
    for view, times in ((W, -2), (L, 1), (NEGATIVE_W, 1)):
        np.testing.assert_allclose(slopes["policy", view], times * slope, rtol=1e-5)


def test_no_gradient_flows_through_the_chosen_answer_s_divergence():
    term, found = CHiP(beta=0.5, token=0.3), hierarchical()
    z = (RATIO[W] - RATIO[L]) + (RATIO[W] - RATIO[NEGATIVE_W]) - 0.3 * (2.125 - 0.75)
    slopes = gradient(term, found, "divergence")
    assert (slopes["policy", W] == 0).all()
    np.testing.assert_allclose(slopes["policy", L], 0.5 * 0.3 * sigmoid(-0.5 * z), rtol=1e-5)


def test_chip_without_image_and_weights_is_tdpo2():
    z = (RATIO[W] - RATIO[L]) - 0.5 * (2.125 - 0.75)
    term = CHiP(beta=0.1, token=0.5, visual=False)
    assert loss(term, hierarchical()) == pytest.approx(minus_log_sigmoid(0.1 * z), rel=1e-6)
    assert {need.view for need in term.needs()} == {W, L}
    assert {need.view for need in term.needs() if need.divergence} == {W, L}


def test_chip_without_divergences_asks_for_none():
    assert not any(need.divergence for need in CHiP(token=0.0).needs())
    assert loss(CHiP(token=0.0, visual=False, beta=0.5), BOTH) == loss(DPO(beta=0.5), BOTH)


def weighted(view: View, weights: list[float]) -> float:
    ratios = np.asarray(POLICY[view].logps - REFERENCE[view].logps)[0]
    return float(np.dot(weights, ratios[: len(weights)]))


def test_changed_tokens_weigh_more_in_policy_and_reference():
    chosen, rejected = [1.0, 3.0, 3.0], [3.0, 1.0]
    found = hierarchical()
    term = DPO(beta=0.5, weights=Changed(extra=2.0))
    margin = weighted(W, chosen) - weighted(L, rejected)
    outcome = term(found)
    assert float(outcome.loss[0]) == pytest.approx(minus_log_sigmoid(0.5 * margin), rel=1e-6)
    assert float(outcome.metrics["tokens/weighted_chosen"][0]) == pytest.approx(2 / 3)
    assert float(outcome.metrics["tokens/weighted_rejected"][0]) == pytest.approx(1 / 2)
    np.testing.assert_allclose(gradient(term, found)["policy", W], -0.5 * sigmoid(-0.5 * margin) * np.array(chosen), rtol=1e-5)
    assert {need.view for need in term.needs() if need.changed} == {W, L}

    z = (weighted(W, chosen) - weighted(L, rejected)) + (weighted(W, chosen) - weighted(NEGATIVE_W, chosen)) - 0.1 * (2.125 - 0.75)
    assert loss(CHiP(weights=Changed(extra=2.0)), found) == pytest.approx(minus_log_sigmoid(0.1 * z), rel=1e-6)


def test_no_extra_weight_is_no_weight():
    assert loss(DPO(weights=Changed(extra=0.0)), hierarchical()) == loss(DPO(), BOTH)
    with pytest.raises(ConfigError, match="at least 0"):
        validate(Changed, {"extra": -0.5}, where="weights")


LOGITS = {  # of each token: the policy's and the reference's, under the true and the noised image
    W: ([1.0, 0.0, 2.0], [0.0, 0.0, 4.0], [0.5, 0.0, 0.0], [0.0, 1.0, 0.0]),
    L: ([2.0, 1.0], [0.0, 2.0], [0.0, 0.0], [0.0, 0.0]),
}


def calibrated() -> Views:
    policy, reference = {}, {}
    for view, (clear, noised, their_clear, their_noised) in LOGITS.items():
        blurred, nothing = view._replace(image=NOISED), [0.0] * len(clear)
        policy |= {view: POLICY[view]._replace(logits=read([], 50.0, logits=clear).logits), blurred: read(nothing, -50.0, logits=noised)}
        reference |= {view: REFERENCE[view]._replace(logits=read([], 9.0, logits=their_clear).logits)}
        reference |= {blurred: read(nothing, -9.0, logits=their_noised)}
    return views(policy, reference)


def correction(view: View, sign: int, floor: float = 0.5) -> float:
    clear, noised, their_clear, their_noised = LOGITS[view]
    ours = sum(math.log(floor + sigmoid(sign * (a - b))) for a, b in zip(clear, noised, strict=True))
    return ours - sum(math.log(floor + sigmoid(sign * (a - b))) for a, b in zip(their_clear, their_noised, strict=True))


@pytest.mark.parametrize("floor", [0.5, 0.1])
def test_tpo_multiplies_likelihoods_by_what_they_owe_to_the_image(floor):
    margin = (RATIO[W] + correction(W, 1, floor)) - (RATIO[L] + correction(L, -1, floor))
    outcome = TPO(beta=0.5, floor=floor)(calibrated())
    assert float(outcome.loss[0]) == pytest.approx(minus_log_sigmoid(0.5 * margin), rel=1e-6)
    assert float(outcome.metrics["tokens/correction_chosen"][0]) == pytest.approx(correction(W, 1, floor), rel=1e-5)
    assert float(outcome.metrics["tokens/sensitivity_chosen"][0]) == pytest.approx((1.0 + 0.0 - 2.0) / 3)
    assert float(outcome.metrics["tokens/sensitivity_rejected"][0]) == pytest.approx((2.0 - 1.0) / 2)


def test_tpo_s_gradient_flows_through_the_correction_on_both_images():
    found = calibrated()
    margin = (RATIO[W] + correction(W, 1)) - (RATIO[L] + correction(L, -1))
    slope, slopes = 0.5 * sigmoid(-0.5 * margin), gradient(TPO(beta=0.5), found, "logits")

    def steep(s: float) -> float:
        return sigmoid(s) * sigmoid(-s) / (0.5 + sigmoid(s))

    chosen = np.array([steep(a - b) for a, b in zip(*LOGITS[W][:2], strict=True)])
    rejected = np.array([steep(b - a) for a, b in zip(*LOGITS[L][:2], strict=True)])
    np.testing.assert_allclose(slopes["policy", W], -slope * chosen, rtol=1e-5)
    np.testing.assert_allclose(slopes["policy", View(NOISED, CHOSEN)], slope * chosen, rtol=1e-5)
    np.testing.assert_allclose(slopes["policy", L], -slope * rejected, rtol=1e-5)
    np.testing.assert_allclose(gradient(TPO(beta=0.5), found)["policy", W], -slope, rtol=1e-5)
    needs = TPO().needs()
    assert {(need.model, need.view.image) for need in needs} == {(m, i) for m in ("policy", "reference") for i in (CLEAN, NOISED)}
    assert all(need.steep_logits and need.gradient for need in needs if need.model == "policy")
    assert all(need.logits and not need.gradient for need in needs if need.model == "reference")


@pytest.mark.parametrize("gamma", [0.0, 0.75, 1.0])
@pytest.mark.parametrize("prior", ["policy", "reference"])
def test_v_dpo_contrasts_with_no_image(gamma, prior):
    without = {"policy": POLICY, "reference": REFERENCE}[prior]
    gain = {view: float(POLICY[view].logps.sum() - without[view._replace(image=NONE)].logps.sum()) for view in (W, L)}
    margin = RATIO[W] - RATIO[L] + (gamma - 1) * (gain[W] - gain[L])
    term = VDPO(beta=0.5, gamma=gamma, prior=prior)
    assert loss(term, BOTH) == pytest.approx(minus_log_sigmoid(0.5 * margin), rel=1e-6)
    slopes = gradient(term, BOTH)
    np.testing.assert_allclose(slopes["policy", W], -0.5 * sigmoid(-0.5 * margin), rtol=1e-5)
    np.testing.assert_allclose(slopes["policy", L], 0.5 * sigmoid(-0.5 * margin), rtol=1e-5)
    assert all((slopes["policy", View(NONE, response)] == 0).all() for response in (CHOSEN, REJECTED))
    assert term.needs() >= {Need(prior, View(NONE, response), gradient=False) for response in (CHOSEN, REJECTED)}
    assert {need.view.image for need in VDPO(image="blank").needs()} == {CLEAN, "blank"}


def test_with_gamma_one_v_dpo_is_dpo():
    assert loss(VDPO(gamma=1.0), BOTH) == loss(DPO(), BOTH)


TERMS = {
    "preference": Preference(preferred=(CLEAN, CHOSEN), other=(NEGATIVE, CHOSEN)),
    "conditional": Conditional(),
    "chip": CHiP(),
    "tdpo": CHiP(visual=False, weights=Changed()),
    "tpo": TPO(),
    "v_dpo": VDPO(),
    "consistency": MarginConsistency(),
}


SIZES, LENGTHS = (-1e4, 0.0, 1e4), (0, 1, LENGTH)


def far(model: str) -> dict[View, Tokens]:
    """A pair for each size and length: the policy's numbers of the chosen answer's tokens are of that size, all others 0."""
    length = jnp.array([length for _ in SIZES for length in LENGTHS])
    scored = jnp.arange(LENGTH) < length[:, None]
    size = jnp.array([size for size in SIZES for _ in LENGTHS])[:, None] * scored
    found = {}
    for image in (CLEAN, NEGATIVE, NOISED, NONE):
        for response in (CHOSEN, REJECTED, CONTRAST):
            each = size if (model, response) == ("policy", CHOSEN) and image != NOISED else jnp.zeros_like(size)
            compared = {"divergence": jnp.abs(each), "changed": scored} if model == "policy" else {}
            found[View(image, response)] = Tokens(each, scored, logits=each, **compared)
    return found


FAR = views(far("policy"), far("reference"))


@pytest.mark.parametrize("name", TERMS)
def test_extremes_stay_finite(name):
    def summed(steep: dict) -> tuple:
        replaced = {key: FAR.tokens[key]._replace(**values) for key, values in steep.items()}
        outcome = TERMS[name](Views({**FAR.tokens, **replaced}))
        return jnp.sum(outcome.loss), outcome

    steep = {
        key: {field: getattr(tokens, field) for field in ("logps", "logits", "divergence")}
        for key, tokens in FAR.tokens.items()
        if key[0] == "policy"
    }
    (_, outcome), slopes = jax.jit(jax.value_and_grad(summed, has_aux=True))(steep)
    for values in (outcome.loss, *outcome.metrics.values(), *jax.tree.leaves(slopes)):
        assert np.isfinite(values).all()
    start = 0.0 if name == "consistency" else math.log(2)
    at_start = [place for place in range(9) if LENGTHS[place % 3] == 0 or SIZES[place // 3] == 0]
    np.testing.assert_allclose(outcome.loss[np.array(at_start)], start, rtol=1e-6)


def test_a_far_margin_costs_its_size():
    """One token of −1e4: place 1 of the pairs. Its divergence of 1e4 lowers the margin's fall by γ of it."""
    assert float(VDPO(beta=1.0, gamma=1.0)(FAR).loss[1]) == pytest.approx(1e4)
    assert float(CHiP(beta=1.0, visual=False, token=0.25)(FAR).loss[1]) == pytest.approx(1e4 - 0.25 * 1e4)
