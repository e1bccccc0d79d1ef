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
