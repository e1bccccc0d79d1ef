"""LLaMA's decoder: grouped-query attention with rotary positions, a gated MLP, RMS norms before each.

Structure and names follow transformers' LlamaForCausalLM, whose checkpoints this reads.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TypeAlias

import jax.numpy as jnp
from einops import rearrange
from flax import nnx
from jax.typing import DTypeLike
from jaxtyping import Array, Float, Int

from jax_mdpo.layers.activations import activation
from jax_mdpo.layers.attention import attend, attend_cached
from jax_mdpo.layers.cache import Cache, KeysValues
from jax_mdpo.layers.execution import DEFAULT, Execution
from jax_mdpo.layers.linear import Embedding, Linear, side_by_side
from jax_mdpo.layers.norms import RMSNorm
from jax_mdpo.layers.remat import keep
from jax_mdpo.layers.rope import Turns, rotate, turns
from jax_mdpo.layers.rows import Rows
from jax_mdpo.layers.stack import Stack
from jax_mdpo.sharding.logical import BATCH, constrain
from jax_mdpo.weights.tables import Rule, as_stored, linear, stacked

Attend: TypeAlias = Callable[[Array, Array, Array], Array]  # queries, keys, values → attended


@dataclass(frozen=True)
class LlamaConfig:
    """Sizes of the decoder. wavelengths: the rotary frequencies (layers/rope.py), one per half head."""

    width: int
    mlp: int
    layers: int
    heads: int
    kv_heads: int
    head_size: int
    vocabulary: int
    wavelengths: tuple[float, ...]
    activation: str = "silu"
    eps: float = 1e-6
    attention_bias: bool = False
    mlp_bias: bool = False


class Attention(nnx.Module):
    """Projections around an attention; what it attends to is the caller's."""

    def __init__(self, config: LlamaConfig, *, rngs: nnx.Rngs, dtype: DTypeLike):
        queries, keys = config.heads * config.head_size, config.kv_heads * config.head_size
        made = {"bias": config.attention_bias, "rngs": rngs, "dtype": dtype}
        self.q_proj = Linear(config.width, queries, axes=("embed", "heads"), **made)
        self.k_proj = Linear(config.width, keys, axes=("embed", "heads"), **made)
        self.v_proj = Linear(config.width, keys, axes=("embed", "heads"), **made)
        self.o_proj = Linear(queries, config.width, axes=("heads", "embed"), **made)
        self.head_size = config.head_size

    def __call__(self, x: Float[Array, "B T D"], angles: Turns, attend: Attend) -> tuple[Float[Array, "B T D"], KeysValues]:
        projected = side_by_side(x, self.q_proj, self.k_proj, self.v_proj)
        q, k, v = (rearrange(keep(part, "attention"), "B T (N H) -> B T N H", H=self.head_size) for part in projected)
        q, k, v = (constrain(part, BATCH, None, "heads", None) for part in (rotate(q, angles), rotate(k, angles), v))
        attended = rearrange(attend(q, k, v), "B T N H -> B T (N H)")
        return keep(self.o_proj(attended), "attention"), KeysValues(k, v)


class Mlp(nnx.Module):
    """down(act(gate(x)) · up(x))."""

    def __init__(self, config: LlamaConfig, *, rngs: nnx.Rngs, dtype: DTypeLike):
        made = {"bias": config.mlp_bias, "rngs": rngs, "dtype": dtype}
        self.gate_proj = Linear(config.width, config.mlp, axes=("embed", "mlp"), **made)
        self.up_proj = Linear(config.width, config.mlp, axes=("embed", "mlp"), **made)
        self.down_proj = Linear(config.mlp, config.width, axes=("mlp", "embed"), **made)
        self.activation = config.activation

    def __call__(self, x: Float[Array, "B T D"]) -> Float[Array, "B T D"]:
        gate, up = (keep(part, "mlp") for part in side_by_side(x, self.gate_proj, self.up_proj))
        return self.down_proj(activation(self.activation)(gate) * up)


class Block(nnx.Module):
    """Attention, then MLP, each normalised first and added to its input."""

    def __init__(self, config: LlamaConfig, *, rngs: nnx.Rngs, dtype: DTypeLike, execution: Execution):
        self.input_layernorm = RMSNorm(config.width, eps=config.eps, dtype=dtype)
        self.self_attn = Attention(config, rngs=rngs, dtype=dtype)
        self.post_attention_layernorm = RMSNorm(config.width, eps=config.eps, dtype=dtype)
        self.mlp = Mlp(config, rngs=rngs, dtype=dtype)
        self.kernel = execution.attention

    def __call__(self, x: Float[Array, "B T D"], rows: Rows, angles: Turns) -> Float[Array, "B T D"]:
        return self.read(x, rows, angles)[0]

    def read(self, x: Float[Array, "B T D"], rows: Rows, angles: Turns) -> tuple[Float[Array, "B T D"], KeysValues]:
        """Attends along the paths of the rows; also what a cache keeps of them."""
        return self._run(x, angles, partial(attend, rows=rows, kernel=self.kernel))

    def extend(self, x: Float[Array, "B 1 D"], cached: KeysValues, held: Array, angles: Turns) -> tuple[Float[Array, "B 1 D"], KeysValues]:
        """One new position, which attends to what is held and to itself; also what a cache keeps of it."""
        return self._run(x, angles, partial(attend_cached, keys=cached.keys, values=cached.values, held=held))

    def _run(self, x: Float[Array, "B T D"], angles: Turns, attend: Attend) -> tuple[Float[Array, "B T D"], KeysValues]:
        attended, kept = self.self_attn(self.input_layernorm(x), angles, attend)
        x = constrain(x + attended, BATCH, None, None)
        return constrain(x + self.mlp(self.post_attention_layernorm(x)), BATCH, None, None), kept


class LlamaDecoder(nnx.Module):
    """Token table, blocks and the last norm; the output head stands apart, for it runs on response positions only."""

    def __init__(self, config: LlamaConfig, *, rngs: nnx.Rngs, dtype: DTypeLike = jnp.float32, execution: Execution = DEFAULT):
        self.embed_tokens = Embedding(config.vocabulary, config.width, axes=("vocab", "embed"), rngs=rngs, dtype=dtype)
        made = {"dtype": dtype, "execution": execution}
        self.layers = Stack(lambda keys: Block(config, rngs=keys, **made), config.layers, rngs=rngs, execution=execution)
        self.norm = RMSNorm(config.width, eps=config.eps, dtype=dtype)
        self.wavelengths = config.wavelengths

    def __call__(self, x: Float[Array, "B T D"], rows: Rows) -> Float[Array, "B T D"]:
        """Hidden states of embedded rows, normalised, ready for the head."""
        angles = turns(rows.positions(), self.wavelengths, x.dtype)
        return self.norm(self.layers(constrain(x, BATCH, None, None), rows, angles))

    def prefill(self, x: Float[Array, "B T D"], rows: Rows, room: int) -> tuple[Float[Array, "B T D"], Cache]:
        """The same for rows without branches, and their cache, with room for so many tokens."""
        angles = turns(rows.positions(), self.wavelengths, x.dtype)
        x, read = self.layers.collect(lambda block, x, _: block.read(x, rows, angles), constrain(x, BATCH, None, None))
        return self.norm(x), Cache.after(read, rows.prefix > 0, room)

    def extend(self, ids: Int[Array, " B"], cache: Cache) -> tuple[Float[Array, "B 1 D"], Cache]:
        """One more token in every row: its hidden state, as above, and the cache with it."""
        x = self.embed_tokens(ids)[:, None]
        angles = turns(cache.positions, self.wavelengths, x.dtype)
        x, read = self.layers.collect(
            lambda block, x, cached: block.extend(x, cached, cache.held, angles),
            constrain(x, BATCH, None, None),
            KeysValues(cache.keys, cache.values),
        )
        return self.norm(x), cache.with_next(read)


def rules(config: LlamaConfig) -> list[Rule]:
    """Stored tensors of a decoder, relative to its place in the checkpoint."""
    attention = [
        rule for name in ("q_proj", "k_proj", "v_proj", "o_proj") for rule in linear(f"self_attn.{name}", bias=config.attention_bias)
    ]
    mlp = [rule for name in ("gate_proj", "up_proj", "down_proj") for rule in linear(f"mlp.{name}", bias=config.mlp_bias)]
    norms = as_stored("input_layernorm.weight", "post_attention_layernorm.weight")
    return [*as_stored("embed_tokens.weight", "norm.weight"), *stacked("layers", [*norms, *attention, *mlp])]
