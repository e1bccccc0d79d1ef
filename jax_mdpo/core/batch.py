"""The arrays that go to the device. They are made in data/collate.py and nowhere else; no later stage repairs them.

A row is a prefix and branches that continue it. The last token of the prompt opens each branch instead of closing the prefix, so
that the hidden state at branch position t predicts `targets[:, t]`: the shift by one is made once, here, and a branch's hidden
states line up with its targets.

A row may hold several pairs: their prefixes stand one after the other, and so do their branches. `segments` says whose a position is.
"""

from typing import Any, NamedTuple

from jaxtyping import Bool, Float, Int, UInt8, UInt32

from jax_mdpo.core.views import View

TEXT_SLOT = -1
PADDING_SEGMENT = 0
Array = Any  # numpy on the host, jax on the device: the same structures hold both


class Prefix(NamedTuple):
    """The shared beginnings of a row's pairs, right-padded.

    slots: which of its pair's image features stands at a position, TEXT_SLOT where a token does.
    segments: 1 for the row's first pair, 2 for its second, …; PADDING_SEGMENT on padding.
    """

    ids: Int[Array, "B P"]
    slots: Int[Array, "B P"]
    segments: Int[Array, "B P"]

    @property
    def mask(self) -> Bool[Array, "B P"]:
        """False on padding."""
        return self.segments != PADDING_SEGMENT


class Branch(NamedTuple):
    """One continuation of each prefix, right-padded. `ids` are inputs; `targets[:, t]` is the token after `ids[:, t]`.

    slots, segments: as in Prefix. scored: True where the target is a token of the response (its end token included).
    """

    ids: Int[Array, "B R"]
    slots: Int[Array, "B R"]
    segments: Int[Array, "B R"]
    targets: Int[Array, "B R"]
    scored: Bool[Array, "B R"]

    @property
    def mask(self) -> Bool[Array, "B R"]:
        """False on padding."""
        return self.segments != PADDING_SEGMENT


class Batch(NamedTuple):
    """B rows of K pairs: framed images by variant, the prefix, a branch by response (chosen, rejected; contrast where a term reads it).

    images: a variant that is not among them is made from the clean one. valid: False where the record was bad; the pair then has no
    tokens and counts for nothing.
    changed: by response, which targets stand where chosen and rejected are worded differently; where a term asks for it.
    draws: by variant that a corruption on the device may make: the number of that corruption (0: none), and the two words of its key.
    features: what the tower makes of the images, by variant, where that was computed beforehand; there are no images then.
    reference: log-probs of a view's targets that were computed beforehand, in nats; the others are computed where they are needed.
    """

    images: dict[str, UInt8[Array, "B K height width 3"]]
    prefix: Prefix
    branches: dict[str, Branch]
    valid: Bool[Array, "B K"]
    changed: dict[str, Bool[Array, "B R"]] = {}  # noqa: RUF012 (a tuple's default; nothing writes to it)
    draws: dict[str, UInt32[Array, "B K 3"]] = {}  # noqa: RUF012 (as above)
    features: dict[str, Float[Array, "B K P W"]] = {}  # noqa: RUF012 (as above)
    reference: dict[View, Float[Array, "B R"]] = {}  # noqa: RUF012 (as above)


class HostBatch(NamedTuple):
    """A batch with what stays on the host: the ids of its pairs, row after row, and (id, reason) of those that were left out."""

    batch: Batch
    ids: tuple[str | int, ...]
    skipped: tuple[tuple[str | int, str], ...]
