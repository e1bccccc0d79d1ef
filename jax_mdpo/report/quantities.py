"""What may be shown of a token: names, units, and what the ends of the colour scale mean."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

CLEAR_OF_OUTLIERS = 0.95  # of all tokens lie within the colour scale; an end token alone would set it for all


@dataclass(frozen=True)
class Quantity:
    """key: in the data. means: in one line. below, above: what values on either side of the middle mean; none where there are none above.

    middle: the value without colour. reach: how far from the middle the scale goes; where not given, as far as most of the values do.
    """

    key: str
    name: str
    unit: str
    means: str
    below: str
    above: str | None
    middle: float = 0.0
    reach: float | None = None

    def extent(self, values: Iterable[float]) -> float:
        """How far the scale goes on either side for these values; never 0."""
        if self.reach is not None:
            return self.reach
        far = np.quantile(np.abs(np.fromiter(values, np.float64) - self.middle), CLEAR_OF_OUTLIERS)
        return float(far) or 1.0


QUANTITIES = (
    Quantity(
        key="log_ratio",
        name="log-ratio",
        unit="nats",
        means="log π − log π_ref given the image: how the adapter has moved the token; β times the sum is the answer's reward",
        below="less likely than under the reference",
        above="likelier",
    ),
    Quantity(
        key="preference",
        name="image preference",
        unit="nats",
        means="log-ratio given the image − log-ratio given the hard negative; β times the chosen answer's sum is the margin of mDPO's "
        "conditional term",
        below="raised more given the hard negative",
        above="raised more given the image",
    ),
    Quantity(
        key="logp",
        name="log-prob",
        unit="nats",
        means="log π given the image and what stands before",
        below="unlikely",
        above=None,
    ),
    Quantity(
        key="drop",
        name="drop under the hard negative",
        unit="nats",
        means="log π given the image − log π given the hard negative: near 0 everywhere, the negative takes nothing away",
        below="likelier given the hard negative",
        above="likelier given the image",
    ),
    Quantity(
        key="sensitivity",
        name="visual sensitivity Δ",
        unit="logits",
        means="the token's logit given the image − given the noised image; dashed: the bound of the selection",
        below="stronger without seeing",
        above="stronger with the image",
    ),
    Quantity(
        key="uncertainty",
        name="uncertainty u",
        unit="logits",
        means="given the image: the logit of what the model guesses under noise − the token's own",
        below="the image outweighs the guess",
        above="the guess still wins",
    ),
    Quantity(
        key="weight",
        name="weight λ",
        unit="",
        means="of the policy's log-prob in UE-DPO's loss: raised on insensitive tokens of the chosen answer, lowered on sensitive ones of "
        "the rejected",
        below="counts less",
        above="counts more",
        middle=1.0,
        reach=0.5,
    ),
)
