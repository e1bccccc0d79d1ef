"""A view is one (image variant, response) pair; objectives ask for views, the planner decides what runs for them."""

from typing import Literal, NamedTuple

CLEAN = "clean"  # the record's own image
NEGATIVE = "negative"  # the hard negative made from it
CHOSEN = "chosen"
REJECTED = "rejected"

Model = Literal["policy", "reference"]


class View(NamedTuple):
    """A response read in the light of one variant of the record's image."""

    image: str
    response: str


class Need(NamedTuple):
    """What an objective needs evaluated: a view, by which model, and whether a gradient flows through it."""

    model: Model
    view: View
    gradient: bool = True


def log_ratio_needs(*views: View) -> frozenset[Need]:
    """The needs of any term over log(policy / reference): the policy with a gradient, the reference without."""
    return frozenset(need for view in views for need in (Need("policy", view), Need("reference", view, gradient=False)))
