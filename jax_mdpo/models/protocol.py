"""What the floors above ask of a vision-language model, whatever its family."""

from typing import Protocol, runtime_checkable

from jaxtyping import Array, Float, Int, UInt8

from jax_mdpo.layers.cache import Cache
from jax_mdpo.layers.rows import Rows


@runtime_checkable
class VisionLanguageModel(Protocol):
    """A tower, a decoder and a head. Widths in activations' dtype, logits in float32."""

    @property
    def head_adapted(self) -> bool:
        """Whether an adapter sits on the output head."""

    def normalise(self, framed: UInt8[Array, "B height width 3"]) -> Float[Array, "B height width 3"]:
        """The tower's input in float32, from raw pixels."""

    def look(self, pixels: Float[Array, "B height width 3"]) -> Float[Array, "B P W"]:
        """Normalised pixels through the tower."""

    def project(self, seen: Float[Array, "B P W"]) -> Float[Array, "B P D"]:
        """What the tower gives to the features that stand in the decoder's rows."""

    def embed(self, ids: Int[Array, "B T"], slots: Int[Array, "B T"], features: Float[Array, "B P D"]) -> Float[Array, "B T D"]:
        """Token vectors, with image feature slots[b, t] in the place of those that have one."""

    def decode(self, x: Float[Array, "B T D"], rows: Rows) -> Float[Array, "B T D"]:
        """Hidden states after the last norm."""

    def prefill(self, x: Float[Array, "B T D"], rows: Rows, room: int) -> tuple[Float[Array, "B T D"], Cache]:
        """As `decode`, of rows without branches; and what further tokens need of them, with room for so many."""

    def extend(self, ids: Int[Array, " B"], cache: Cache) -> tuple[Float[Array, "B 1 D"], Cache]:
        """The hidden state of one more token in every row, and the cache with it."""

    def logits(self, hidden: Float[Array, "B C D"]) -> Float[Array, "B C V"]:
        """The output head, in float32."""
