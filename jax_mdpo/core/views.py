"""A view is one (image variant, response) pair; objectives ask for views, the planner decides what runs for them."""

from typing import Literal, NamedTuple

CLEAN = "clean"  # the record's own image
NEGATIVE = "negative"  # the hard negative made from it
NOISED = "noised"  # its pixels under diffusion noise, which leaves the language prior alone
NONE = "none"  # no image: its tokens are hidden from the decoder
BLANK = "blank"  # a black image
OTHER = "other"  # another record's image
CHOSEN = "chosen"
REJECTED = "rejected"
CONTRAST = "contrast"  # the answer that suits the negative image, where a data set brings one
RESPONSES = (CHOSEN, REJECTED)  # of every record

Model = Literal["policy", "reference"]


class View(NamedTuple):
    """A response read in the light of one variant of the record's image."""

    image: str
    response: str


class Need(NamedTuple):
    """What an objective needs evaluated: a view, by which model, and whether a gradient flows through it.

    guess: an image variant; also the logits, in this view, of the tokens that the model finds likeliest where it sees that variant.
    divergence: also KL(reference ‖ policy) of the next token's distribution, at each of the policy's positions.
    logits: the tokens' raw logits, which are there wherever a model runs and in no cache. steep_logits: they carry a gradient.
    changed: also which tokens stand where the chosen and the rejected answer are worded differently.
    """

    model: Model
    view: View
    gradient: bool = True
    guess: str | None = None
    divergence: bool = False
    logits: bool = False
    steep_logits: bool = False
    changed: bool = False


def log_ratio_needs(*views: View) -> frozenset[Need]:
    """The needs of any term over log(policy / reference): the policy with a gradient, the reference without."""
    return frozenset(need for view in views for need in (Need("policy", view), Need("reference", view, gradient=False)))
