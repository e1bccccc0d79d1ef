"""LLaMA's decoder: grouped-query attention with rotary positions, a gated MLP, RMS norms before each.

Structure and names follow transformers' LlamaForCausalLM, whose checkpoints this reads.
"""

from dataclasses import dataclass

import jax.numpy as jnp
from einops import rearrange
from flax import nnx
from jax.typing import DTypeLike
from jaxtyping import Array, Float

from jax_mdpo.layers.activations import activation
from jax_mdpo.layers.attention import attend
from jax_mdpo.layers.execution import DEFAULT, Execution
from jax_mdpo.layers.linear import Embedding, Linear
from jax_mdpo.layers.norms import RMSNorm
from jax_mdpo.layers.remat import keep
from jax_mdpo.layers.rope import Turns, rotate, turns
from jax_mdpo.layers.rows import Rows
from jax_mdpo.layers.stack import Stack
from jax_mdpo.sharding.logical import BATCH, constrain
from jax_mdpo.weights.tables import Rule, as_stored, linear, stacked


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
    """Causal attention along the paths of a row."""

    def __init__(self, config: LlamaConfig, *, rngs: nnx.Rngs, dtype: DTypeLike, execution: Execution):
        queries, keys = config.heads * config.head_size, config.kv_heads * config.head_size
        made = {"bias": config.attention_bias, "rngs": rngs, "dtype": dtype}
        self.q_proj = Linear(config.width, queries, axes=("embed", "heads"), **made)
        self.k_proj = Linear(config.width, keys, axes=("embed", "heads"), **made)
        self.v_proj = Linear(config.width, keys, axes=("embed", "heads"), **made)
        self.o_proj = Linear(queries, config.width, axes=("heads", "embed"), **made)
        self.head_size = config.head_size
        self.kernel = execution.attention

    def __call__(self, x: Float[Array, "B T D"], rows: Rows, angles: Turns) -> Float[Array, "B T D"]:
        projected = (keep(part(x), "attention") for part in (self.q_proj, self.k_proj, self.v_proj))
        q, k, v = (rearrange(part, "B T (N H) -> B T N H", H=self.head_size) for part in projected)
        q, k, v = (constrain(part, BATCH, None, "heads", None) for part in (rotate(q, angles), rotate(k, angles), v))
        attended = rearrange(attend(q, k, v, rows, self.kernel), "B T N H -> B T (N H)")
        return keep(self.o_proj(attended), "attention")


class Mlp(nnx.Module):
    """down(act(gate(x)) · up(x))."""

    def __init__(self, config: LlamaConfig, *, rngs: nnx.Rngs, dtype: DTypeLike):
        made = {"bias": config.mlp_bias, "rngs": rngs, "dtype": dtype}
        self.gate_proj = Linear(config.width, config.mlp, axes=("embed", "mlp"), **made)
        self.up_proj = Linear(config.width, config.mlp, axes=("embed", "mlp"), **made)
        self.down_proj = Linear(config.mlp, config.width, axes=("mlp", "embed"), **made)
        self.activation = config.activation

    def __call__(self, x: Float[Array, "B T D"]) -> Float[Array, "B T D"]:
        gate, up = keep(self.gate_proj(x), "mlp"), keep(self.up_proj(x), "mlp")
        return self.down_proj(activation(self.activation)(gate) * up)


class Block(nnx.Module):
    """Attention, then MLP, each normalised first and added to its input."""

    def __init__(self, config: LlamaConfig, *, rngs: nnx.Rngs, dtype: DTypeLike, execution: Execution):
        self.input_layernorm = RMSNorm(config.width, eps=config.eps, dtype=dtype)
        self.self_attn = Attention(config, rngs=rngs, dtype=dtype, execution=execution)
        self.post_attention_layernorm = RMSNorm(config.width, eps=config.eps, dtype=dtype)
        self.mlp = Mlp(config, rngs=rngs, dtype=dtype)

    def __call__(self, x: Float[Array, "B T D"], rows: Rows, angles: Turns) -> Float[Array, "B T D"]:
        x = constrain(x + self.self_attn(self.input_layernorm(x), rows, angles), BATCH, None, None)
        return constrain(x + self.mlp(self.post_attention_layernorm(x)), BATCH, None, None)


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


def rules(config: LlamaConfig) -> list[Rule]:
    """Stored tensors of a decoder, relative to its place in the checkpoint."""
    attention = [
        rule for name in ("q_proj", "k_proj", "v_proj", "o_proj") for rule in linear(f"self_attn.{name}", bias=config.attention_bias)
    ]
    mlp = [rule for name in ("gate_proj", "up_proj", "down_proj") for rule in linear(f"mlp.{name}", bias=config.mlp_bias)]
    norms = as_stored("input_layernorm.weight", "post_attention_layernorm.weight")
    return [*as_stored("embed_tokens.weight", "norm.weight"), *stacked("layers", [*norms, *attention, *mlp])]
