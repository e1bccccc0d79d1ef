"""The planner: the fewest passes for the views that are asked for."""

from jax_mdpo.core.views import Need, View
from jax_mdpo.models.plan import Forward, Plan, plan
from jax_mdpo.objectives.anchored import Anchored
from jax_mdpo.objectives.conditional import Conditional
from jax_mdpo.objectives.dpo import DPO


def planned(*terms) -> Plan:
    return plan(need for term in terms for need in term.needs())


def test_dpo_is_one_pass_with_two_branches_for_each_model():
    whole = planned(DPO())
    assert whole.images == ("clean",)
    assert whole.forwards == (
        Forward("policy", True, ("clean",), ("chosen", "rejected")),
        Forward("reference", False, ("clean",), ("chosen", "rejected")),
    )


def test_mdpo_adds_one_short_pass_for_each_model_and_no_view_twice():
    whole = planned(DPO(), Conditional(), Anchored())
    assert whole.images == ("clean", "negative")
    assert sorted(whole.forwards) == [
        Forward("policy", True, ("clean",), ("chosen", "rejected")),
        Forward("policy", True, ("negative",), ("chosen",)),
        Forward("reference", False, ("clean",), ("chosen", "rejected")),
        Forward("reference", False, ("negative",), ("chosen",)),
    ]


def test_images_with_the_same_responses_share_a_pass():
    assert planned(Conditional()).forwards[0] == Forward("policy", True, ("clean", "negative"), ("chosen",))


def test_a_view_with_and_without_gradient_runs_once():
    view = View("clean", "chosen")
    assert plan([Need("policy", view, True), Need("policy", view, False)]).forwards == (Forward("policy", True, ("clean",), ("chosen",)),)


def test_a_guess_adds_a_pass_without_gradient_that_is_read_first():
    noised, clean = View("noised", "chosen"), View("clean", "chosen")
    run = plan([Need("policy", clean, guess="noised")])
    assert run.images == ("clean", "noised")
    assert set(run.forwards) == {
        Forward("policy", True, ("clean",), ("chosen",)),
        Forward("policy", False, ("noised",), ("chosen",)),
    }
    first, second = run.readings
    assert (first.views, first.likeliest, first.guesses) == ((noised,), True, ())
    assert (second.views, second.likeliest, second.guesses) == ((clean,), False, ("noised",))


def test_needs_of_one_view_are_read_together():
    view, other = View("clean", "chosen"), View("clean", "rejected")
    run = plan(
        [Need("policy", view), Need("policy", view, False, divergence=True), Need("policy", view, steep_logits=True), Need("policy", other)]
    )
    whole, bare = sorted(run.readings, key=lambda reading: reading.views)
    assert (whole.views, whole.gradient, whole.divergence, whole.steep_logits) == ((view,), True, True, True)
    assert (bare.views, bare.gradient, bare.divergence, bare.steep_logits) == ((other,), True, False, False)


def test_a_divergence_runs_the_reference_even_where_its_log_probs_are_brought():
    view, other = View("clean", "chosen"), View("clean", "rejected")
    needs = [Need("policy", view, divergence=True), Need("reference", view, False), Need("policy", other), Need("reference", other, False)]
    brought = plan(needs, {view, other})
    assert [forward for forward in brought.forwards if forward.model == "reference"] == [
        Forward("reference", False, ("clean",), ("chosen",))
    ]
    assert all(reading.model == "policy" for reading in brought.readings)
    assert len(plan(needs).readings) == 3
