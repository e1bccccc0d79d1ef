"""What the head says of the targets, a chunk of positions at a time."""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
from einops import rearrange
from jaxtyping import Array, Float, Int

Head = Callable[[Float[Array, "B C D"]], Float[Array, "B C V"]]


class Asked(NamedTuple):
    """Of what the head is read. targets: the tokens that the states predict.

    candidates: further tokens whose logits are wanted. against: the reference's states at the same positions.
    """

    targets: Int[Array, "B R"]
    candidates: Int[Array, "B R G"] | None = None
    against: Float[Array, "B R D"] | None = None


class Read(NamedTuple):
    """float32. logps: log softmax(logits)[target], in nats. divergence: KL(reference ‖ these) in nats, where `against` is given.

    logits: of the targets; with a gradient where that is asked for. Without one: candidates' logits, and the likeliest token.
    """

    logps: Float[Array, "B R"]
    divergence: Float[Array, "B R"] | None
    logits: Float[Array, "B R"]
    candidates: Float[Array, "B R G"] | None
    likeliest: Int[Array, "B R"] | None


def read_tokens(
    hidden: Float[Array, "B R D"],
    asked: Asked,
    head: Head,
    *,
    chunk: int,
    learning: bool = False,
    likeliest: bool = False,
    steep_logits: bool = False,
    reference: Head | None = None,
) -> Read:
    """Reads every position. steep_logits: the targets' logits carry a gradient. reference: the head for `asked.against`.

    Logits exist for `chunk` positions of each row at a time, in the forward pass and in the backward pass. Chunks run along the rows,
    so that a sharded batch stays where it is. learning: whether the head itself takes a gradient (an adapter on it); where it is
    frozen, and only there, its logits are never computed twice.
    """
    length = asked.targets.shape[1]
    count = -(-length // chunk)

    def cut(leaf: Array) -> Array:
        padded = jnp.pad(leaf, ((0, 0), (0, count * chunk - length), *((0, 0),) * (leaf.ndim - 2)))
        return rearrange(padded, "B (n C) ... -> n B C ...", n=count)

    measure = _Measure(reference, likeliest, steep_logits)
    read = _recomputed(head, measure) if learning else _with_slope(head, measure)
    found = jax.lax.map(lambda part: read(*part), jax.tree.map(cut, (hidden, asked)))
    return jax.tree.map(lambda leaf: rearrange(leaf, "n B C ... -> B (n C) ...")[:, :length], found)


class _Measure(NamedTuple):
    """From logits to what is read off them."""

    reference: Head | None
    likeliest: bool
    steep_logits: bool

    def __call__(self, logits: Float[Array, "B C V"], at: Asked) -> Read:
        total = jax.nn.logsumexp(logits, axis=-1)
        still = jax.lax.stop_gradient(logits)
        return Read(
            logps=_at(logits, at.targets) - total,
            divergence=None if at.against is None else self._divergence(logits, total, at.against),
            logits=_at(logits if self.steep_logits else still, at.targets),
            candidates=None if at.candidates is None else jnp.take_along_axis(still, at.candidates, axis=-1),
            likeliest=jnp.argmax(still, axis=-1) if self.likeliest else None,
        )

    def slopes(self, logits: Float[Array, "B C V"], at: Asked) -> list[Float[Array, "B C V"]]:
        """∂ / ∂ logits of what carries a gradient, in the order of `steep`."""
        softmax, target = jax.nn.softmax(logits, axis=-1), jax.nn.one_hot(at.targets, logits.shape[-1], dtype=jnp.float32)
        found = [target - softmax]
        if at.against is not None:
            found.append(softmax - jnp.exp(self._reference_logps(at.against)))
        return [*found, target] if self.steep_logits else found

    def steep(self, read: Read) -> list[Float[Array, "B C"]]:
        """What carries a gradient."""
        found = [read.logps] if read.divergence is None else [read.logps, read.divergence]
        return [*found, read.logits] if self.steep_logits else found

    def _divergence(self, logits: Float[Array, "B C V"], total: Float[Array, "B C"], against: Float[Array, "B C D"]) -> Float[Array, "B C"]:
        theirs = self._reference_logps(against)
        return jnp.sum(jnp.exp(theirs) * (theirs - (logits - total[..., None])), axis=-1)

    def _reference_logps(self, against: Float[Array, "B C D"]) -> Float[Array, "B C V"]:
        assert self.reference is not None, "positions to compare with come with the head that reads them"
        return jax.lax.stop_gradient(jax.nn.log_softmax(self.reference(against).astype(jnp.float32), axis=-1))


def _at(values: Float[Array, "B C V"], tokens: Int[Array, "B C"]) -> Float[Array, "B C"]:
    return jnp.take_along_axis(values, tokens[..., None], axis=-1)[..., 0]


Reader = Callable[[Float[Array, "B C D"], Asked], Read]


def _recomputed(head: Head, measure: _Measure) -> Reader:
    """The backward pass computes the logits again."""
    return jax.checkpoint(lambda states, at: measure(head(states).astype(jnp.float32), at))


def _with_slope(head: Head, measure: _Measure) -> Reader:
    """The forward pass of a gradient leaves ∂ value / ∂ hidden = (∂ value / ∂ logits) · headᵀ, [B, C, D], for the backward pass.

    A position's log-prob is one number, so its cotangent only scales that vector: two products with the head in all, the least there
    are, and none that would build a gradient of the head. A divergence or steep logits take one more each.
    """

    @jax.custom_vjp
    def read(states: Float[Array, "B C D"], at: Asked) -> Read:
        return measure(head(states).astype(jnp.float32), at)

    def forward(states: Float[Array, "B C D"], at: Asked) -> tuple[Read, list[Float[Array, "B C D"]]]:
        logits, pull = jax.vjp(lambda states: head(states).astype(jnp.float32), states)
        return measure(logits, at), [pull(slope)[0] for slope in measure.slopes(logits, at)]

    def backward(slopes: list[Float[Array, "B C D"]], cotangent: Read) -> tuple[Float[Array, "B C D"], None]:
        parts = [slope * factor[..., None] for slope, factor in zip(slopes, measure.steep(cotangent), strict=True)]
        return sum(parts[1:], start=parts[0]).astype(slopes[0].dtype), None

    read.defvjp(forward, backward)
    return read
