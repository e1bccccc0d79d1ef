"""Attention by splash, jax's flash kernel for TPUs: one call for a whole row.

Two things decide who attends to whom. The regions' structure is static: the kernel computes it block by block from position numbers, and
skips blocks in which nobody meets. Segments are data: positions meet within their segment only, padding only padding.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from einops import rearrange
from jax.experimental.pallas.ops.tpu.splash_attention import BlockSizes, FullMask, Mask, MultiHeadMask, SegmentIds, make_splash_mha
from jax.sharding import PartitionSpec
from jaxtyping import Array, Float, Int

from jax_mdpo.layers.attention.platform import platform
from jax_mdpo.layers.rows import Rows
from jax_mdpo.sharding.logical import BATCH, sharding

LANES = 128  # of which blocks are multiples
BLOCK = 1024  # the largest block of queries and of keys
SCORED = 512  # the most keys of a block that are scored at a time: the scores stay in vector memory
NAME = "attention"  # of what the backward pass needs of the forward pass, in layers/remat.py


@dataclass(frozen=True)
class Paths:
    """Causal, and no branch sees another. starts: where the branches begin; the first of them ends the prefix.

    Equal ones are one part of the compiled program, which every layer then shares.
    """

    starts: tuple[int, ...]

    def __call__(self, q: Any, k: Any) -> Any:
        """Whether query position q sees key position k; numpy or jax integers that broadcast."""
        meet = k <= q
        for start in self.starts[1:]:
            meet = meet & ~((q >= start) & (k < start) & (k >= self.starts[0]))
        return meet


@dataclass(frozen=True)
class ComputedMask(Mask):
    """A mask that splash computes inside its kernel: it looks for `q_sequence` and `mask_function`."""

    size: int
    mask_function: Paths

    @property
    def shape(self) -> tuple[int, int]:
        """Query and key positions."""
        return self.size, self.size

    @property
    def q_sequence(self) -> np.ndarray:
        """The queries' position numbers."""
        return np.arange(self.size, dtype=np.int32)

    def __getitem__(self, index: tuple[slice, slice]) -> np.ndarray:
        """A block of the mask, on the host: asked for to find the empty blocks."""
        q, k = (self.q_sequence[part] for part in index)
        return self.mask_function(q[:, None], k[None, :])


def attend(q: Float[Array, "B T N H"], k: Float[Array, "B T K H"], v: Float[Array, "B T K H"], rows: Rows) -> Float[Array, "B T N H"]:
    """All regions in one call. Under a mesh every device computes its rows and heads."""
    starts = tuple(region.start for region in rows.regions[1:])
    return _sharded(lambda size: ComputedMask(size, Paths(starts)), q, k, v, rows.segments)


def full(q: Float[Array, "B T N H"], k: Float[Array, "B T K H"], v: Float[Array, "B T K H"]) -> Float[Array, "B T N H"]:
    """Every position over every other."""
    return _sharded(lambda size: FullMask((size, size)), q, k, v, jnp.ones(q.shape[:2], jnp.int32))


def _sharded(
    mask: Callable[[int], Mask],
    q: Float[Array, "B T N H"],
    k: Float[Array, "B T K H"],
    v: Float[Array, "B T K H"],
    segments: Int[Array, "B T"],
) -> Float[Array, "B T N H"]:
    """XLA cannot split a kernel, so rows and heads are split around it; heads only where key-value heads divide evenly."""
    mesh = jax.sharding.get_abstract_mesh()
    attend = partial(_rows, mask)
    if mesh.size <= 1:
        return attend(q, k, v, segments)
    heads = sharding(mesh, (BATCH, None, "heads", None), k.shape).spec
    split = {"in_specs": (heads, heads, heads, PartitionSpec(heads[0], None)), "out_specs": heads, "check_vma": False}
    return jax.shard_map(attend, **split)(q, k, v, segments)


def _rows(
    mask: Callable[[int], Mask],
    q: Float[Array, "B T N H"],
    k: Float[Array, "B T K H"],
    v: Float[Array, "B T K H"],
    segments: Int[Array, "B T"],
) -> Float[Array, "B T N H"]:
    """The kernel over every row, padded to whole blocks. It takes no scale: the queries bring it. mask: of so many positions."""
    length = q.shape[1]
    size, blocks = block_sizes(length)
    padding = ((0, 0), (0, size - length))
    q, k, v = (rearrange(jnp.pad(x, (*padding, (0, 0), (0, 0))), "B T N H -> B N T H") for x in (q * q.shape[-1] ** -0.5, k, v))
    ids = jnp.pad(segments, padding)
    kernel = make_splash_mha(
        MultiHeadMask([mask(size)]),  # one for all heads
        block_sizes=blocks,
        head_shards=1,
        q_seq_shards=1,
        residual_checkpoint_name=NAME,
        interpret=platform() == "cpu",
    )
    return rearrange(jax.vmap(kernel)(q, k, v, SegmentIds(ids, ids))[:, :, :length], "B N T H -> B T N H")


def block_sizes(length: int) -> tuple[int, BlockSizes]:
    """A row's padded length and the blocks that it is cut into: as few, of equal size, as `length` positions take.

    The backward pass is one kernel for queries, keys and values together: scores are computed again once instead of twice. The queries'
    slopes come out once per block of keys and are added up outside, so a row of a single block is spared that, and most of the padding.
    """
    count = -(-length // BLOCK)
    block = -(-length // (count * LANES)) * LANES
    scored = max(size for size in range(LANES, SCORED + 1, LANES) if block % size == 0)
    forward = {"block_q": block, "block_kv": block, "block_kv_compute": scored}
    backward = {"block_q_dkv": block, "block_kv_dkv": block, "block_kv_dkv_compute": scored}
    return count * block, BlockSizes(**forward, **backward, use_fused_bwd_kernel=True)
