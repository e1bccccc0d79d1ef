"""Attention by cuDNN's flash kernel, which knows "causal" and takes anything finer as an array of all scores' size.

A path prefix → branch is one causal sequence, so each branch is a call of its own over [prefix | branch]; later calls compute the prefix
once more, and only their branch's outputs are taken. What a query must not see is kept from it exactly, in one of two ways:

One pair in a row: the path's real positions move to the front. No query looks ahead, so none sees the padding behind.

Several pairs: segments become further dimensions of the heads. A query carries the one-hot vector of its segment, a key −c times the
complement of its own: their product adds 0 to a score within a segment and −c to any other, whose weight is then exactly 0.
"""

from collections.abc import Callable
from functools import partial

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from jax_mdpo.core.errors import ConfigError
from jax_mdpo.layers.attention.platform import platform
from jax_mdpo.layers.rows import Rows

# c: exact in bfloat16 and float16. Scaled by 1 / sqrt(H) ≥ 1 / 16 it still puts 2000 between the scores of a segment and all others,
# where exp(-104) is 0 in float32. It is no larger because the kernel takes differences of the others' scores too, in float32.
APART = 2.0**15
MULTIPLE = 8  # of which head sizes must be
LARGEST, LARGEST_BEFORE_HOPPER = 256, 128  # head sizes


def attend(q: Float[Array, "B T N H"], k: Float[Array, "B T K H"], v: Float[Array, "B T K H"], rows: Rows) -> Float[Array, "B T N H"]:
    """One causal call for each branch; one for the prefix where there are no branches."""
    along: Callable[..., Array] = _pair if rows.pairs == 1 else partial(_pairs, pairs=rows.pairs)
    prefix, *branches = rows.regions
    if not branches:
        return along(q, k, v, rows.prefix)
    outputs: list[Array] = []
    for own, segments in zip(branches, rows.branches, strict=True):
        path = (jnp.concatenate([x[:, prefix], x[:, own]], axis=1) for x in (q, k, v))
        found = along(*path, jnp.concatenate([rows.prefix, segments], axis=1))
        outputs.append(found[:, prefix.stop :] if outputs else found)
    return jnp.concatenate(outputs, axis=1)


def full(q: Float[Array, "B T N H"], k: Float[Array, "B T K H"], v: Float[Array, "B T K H"]) -> Float[Array, "B T N H"]:
    """Every position over every other."""
    return _kernel(q, k, v, scale=q.shape[-1] ** -0.5, causal=False)


def _pair(
    q: Float[Array, "B S N H"], k: Float[Array, "B S K H"], v: Float[Array, "B S K H"], segments: Int[Array, "B S"]
) -> Float[Array, "B S N H"]:
    """Causal attention along the path's real positions."""
    order = jnp.argsort(segments == 0, axis=1, stable=True)
    back = jnp.argsort(order, axis=1)
    q, k, v = (_permuted(x, order, back) for x in (q, k, v))
    return _permuted(_kernel(q, k, v, scale=q.shape[-1] ** -0.5, causal=True), back, order)


@jax.custom_vjp
def _permuted(x: Float[Array, "B S heads H"], order: Int[Array, "B S"], back: Int[Array, "B S"]) -> Float[Array, "B S heads H"]:
    """Position order[i] of x in place i. Its gradient is the permutation `back`, which jax would make a scatter, not knowing it."""
    return jnp.take_along_axis(x, order[:, :, None, None], axis=1, mode="promise_in_bounds")


def _permuted_forward(x: Array, order: Array, back: Array) -> tuple[Array, tuple[Array, Array]]:
    return _permuted(x, order, back), (order, back)


def _permuted_backward(places: tuple[Array, Array], gradient: Array) -> tuple[Array, None, None]:
    order, back = places
    return _permuted(gradient, back, order), None, None


_permuted.defvjp(_permuted_forward, _permuted_backward)


def _pairs(
    q: Float[Array, "B S N H"], k: Float[Array, "B S K H"], v: Float[Array, "B S K H"], segments: Int[Array, "B S"], pairs: int
) -> Float[Array, "B S N H"]:
    """Causal attention along the path, each position within its segment."""
    member = jax.nn.one_hot(segments - 1, pairs, dtype=q.dtype)[:, :, None]  # all zeros at padding, which no query matches
    queries, keys = (_widened(x, part) for x, part in ((q, member), (k, -APART * (1 - member))))
    return _kernel(queries, keys, v, scale=q.shape[-1] ** -0.5, causal=True)


def _widened(x: Float[Array, "B S heads H"], part: Float[Array, "B S 1 pairs"]) -> Float[Array, "B S heads J"]:
    return jnp.concatenate([x, jnp.broadcast_to(part, (*x.shape[:-1], part.shape[-1]))], axis=-1)


def _kernel(
    q: Float[Array, "B S N J"], k: Float[Array, "B S K J"], v: Float[Array, "B S K H"], *, scale: float, causal: bool
) -> Float[Array, "B S N H"]:
    """Plain attention by cuDNN; on a CPU by XLA.

    Zeros widen the heads to a size that cuDNN takes, the same for all three, and make the length even, which its backward pass wants.
    They stand behind all else: only where attention is not causal must it be told how many keys there are.
    """
    batch, length, _, size = q.shape
    odd, width = length % 2, -(-size // MULTIPLE) * MULTIPLE
    _require(width)
    padded = (jnp.pad(x, ((0, 0), (0, odd), (0, 0), (0, width - x.shape[-1]))) for x in (q, k, v))
    keys = jnp.full(batch, length, jnp.int32) if odd and not causal else None
    implementation = "xla" if platform() == "cpu" else "cudnn"
    found = jax.nn.dot_product_attention(*padded, scale=scale, is_causal=causal, key_value_seq_lengths=keys, implementation=implementation)
    return found[:, :length, :, : v.shape[-1]]


def _require(width: int) -> None:
    """Raises ConfigError where cuDNN takes no heads of this size here."""
    before_hopper = float(getattr(jax.devices()[0], "compute_capability", "9.0")) < 9
    largest = LARGEST_BEFORE_HOPPER if before_hopper else LARGEST
    if width > largest:
        raise ConfigError(
            "cuDNN's attention does not take heads this large on this GPU; packing adds to them",
            expected=f"at most {largest}",
            got=str(width),
            fix="set data.pack to 1, or model.attention to xla",
        )
