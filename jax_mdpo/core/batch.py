"""The arrays that go to the device. They are made in data/collate.py and nowhere else; no later stage repairs them.

A row is a prefix and branches that continue it. The last token of the prompt opens each branch instead of closing the prefix, so
that the hidden state at branch position t predicts `targets[:, t]`: the shift by one is made once, here, and a branch's hidden
states line up with its targets.
"""

from typing import Any, NamedTuple

from jaxtyping import Bool, Int, UInt8

TEXT_SLOT = -1
Array = Any  # numpy on the host, jax on the device: the same structures hold both


class Prefix(NamedTuple):
    """The shared beginning of a row, right-padded.

    slots: which of the image's features stands at a position, TEXT_SLOT where a token does. mask: False on padding.
    """

    ids: Int[Array, "E P"]
    slots: Int[Array, "E P"]
    mask: Bool[Array, "E P"]


class Branch(NamedTuple):
    """One continuation of the prefix, right-padded. `ids` are inputs; `targets[:, t]` is the token after `ids[:, t]`.

    mask: False on padded inputs. scored: True where the target is a token of the response (its end token included).
    """

    ids: Int[Array, "E R"]
    slots: Int[Array, "E R"]
    mask: Bool[Array, "E R"]
    targets: Int[Array, "E R"]
    scored: Bool[Array, "E R"]


class Batch(NamedTuple):
    """E pairs: framed images by variant (clean, negative), the prefix, a branch by response (chosen, rejected).

    valid: False where the record was bad; the row then holds zeros and counts for nothing.
    """

    images: dict[str, UInt8[Array, "E height width 3"]]
    prefix: Prefix
    branches: dict[str, Branch]
    valid: Bool[Array, " E"]


class HostBatch(NamedTuple):
    """A batch with what stays on the host: the ids of its rows, and (id, reason) of the records that were left out."""

    batch: Batch
    ids: tuple[str | int, ...]
    skipped: tuple[tuple[str | int, str], ...]
