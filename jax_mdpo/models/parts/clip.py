"""CLIP's vision transformer, as a tower that returns patch features from a chosen depth.

Structure and names follow transformers' CLIPVisionModel, whose checkpoints this reads (its key "pre_layrnorm" is spelled so).
"""

from dataclasses import dataclass

import jax
import jax.numpy as jnp
from einops import rearrange
from flax import nnx
from jax.typing import DTypeLike
from jaxtyping import Array, Float

from jax_mdpo.layers.activations import activation
from jax_mdpo.layers.attention import full
from jax_mdpo.layers.execution import DEFAULT, Execution
from jax_mdpo.layers.linear import Embedding, Linear, side_by_side
from jax_mdpo.layers.norms import LayerNorm
from jax_mdpo.layers.stack import Stack
from jax_mdpo.sharding.logical import BATCH, constrain
from jax_mdpo.weights.tables import Rule, as_stored, layer_norm, linear, stacked, within


@dataclass(frozen=True)
class ClipConfig:
    """Sizes of the tower; image and patch are the sides of squares, in pixels."""

    width: int
    mlp: int
    layers: int
    heads: int
    image: int
    patch: int
    activation: str = "quick_gelu"
    eps: float = 1e-5

    @property
    def patches(self) -> int:
        """How many patches an image has."""
        return (self.image // self.patch) ** 2


class Attention(nnx.Module):
    """Every position attends to every other."""

    def __init__(self, config: ClipConfig, *, rngs: nnx.Rngs, dtype: DTypeLike, execution: Execution):
        size = config.width
        self.q_proj = Linear(size, size, axes=("embed", "heads"), bias=True, rngs=rngs, dtype=dtype)
        self.k_proj = Linear(size, size, axes=("embed", "heads"), bias=True, rngs=rngs, dtype=dtype)
        self.v_proj = Linear(size, size, axes=("embed", "heads"), bias=True, rngs=rngs, dtype=dtype)
        self.out_proj = Linear(size, size, axes=("heads", "embed"), bias=True, rngs=rngs, dtype=dtype)
        self.heads = config.heads
        self.kernel = execution.attention

    def __call__(self, x: Float[Array, "B T D"]) -> Float[Array, "B T D"]:
        projected = side_by_side(x, self.q_proj, self.k_proj, self.v_proj)
        q, k, v = (rearrange(part, "B T (N H) -> B T N H", N=self.heads) for part in projected)
        return self.out_proj(rearrange(full(q, k, v, self.kernel), "B T N H -> B T (N H)"))


class Mlp(nnx.Module):
    """Two linear layers with an activation between."""

    def __init__(self, config: ClipConfig, *, rngs: nnx.Rngs, dtype: DTypeLike):
        self.fc1 = Linear(config.width, config.mlp, axes=("embed", "mlp"), bias=True, rngs=rngs, dtype=dtype)
        self.fc2 = Linear(config.mlp, config.width, axes=("mlp", "embed"), bias=True, rngs=rngs, dtype=dtype)
        self.activation = config.activation

    def __call__(self, x: Float[Array, "B T D"]) -> Float[Array, "B T D"]:
        return self.fc2(activation(self.activation)(self.fc1(x)))


class Block(nnx.Module):
    """Attention and MLP, each normalised first and added to its input."""

    def __init__(self, config: ClipConfig, *, rngs: nnx.Rngs, dtype: DTypeLike, execution: Execution):
        self.layer_norm1 = LayerNorm(config.width, eps=config.eps, dtype=dtype)
        self.self_attn = Attention(config, rngs=rngs, dtype=dtype, execution=execution)
        self.layer_norm2 = LayerNorm(config.width, eps=config.eps, dtype=dtype)
        self.mlp = Mlp(config, rngs=rngs, dtype=dtype)

    def __call__(self, x: Float[Array, "B T D"]) -> Float[Array, "B T D"]:
        x = x + self.self_attn(self.layer_norm1(x))
        return constrain(x + self.mlp(self.layer_norm2(x)), BATCH, None, None)


class Embeddings(nnx.Module):
    """Pixels to patch vectors, a class vector in front, learned positions added."""

    def __init__(self, config: ClipConfig, *, rngs: nnx.Rngs, dtype: DTypeLike):
        self.class_embedding = nnx.Param(jax.random.normal(rngs.params(), (config.width,), dtype) * 0.02, axes=("norm",))
        self.patch_embedding = Linear(3 * config.patch**2, config.width, axes=("patch", "embed"), rngs=rngs, dtype=dtype)
        self.position_embedding = Embedding(config.patches + 1, config.width, axes=("positions", "embed"), rngs=rngs, dtype=dtype)
        self.patch = config.patch

    def __call__(self, pixels: Float[Array, "B height width 3"]) -> Float[Array, "B T D"]:
        patches = rearrange(pixels, "B (h p) (w q) C -> B (h w) (p q C)", p=self.patch, q=self.patch)
        vectors = self.patch_embedding(patches)
        first = jnp.broadcast_to(self.class_embedding[...], (vectors.shape[0], 1, vectors.shape[2]))
        return jnp.concatenate([first, vectors], axis=1) + self.position_embedding.weight[...]


class ClipTower(nnx.Module):
    """The tower; blocks above the deepest feature layer are held, for a complete checkpoint, but not run."""

    def __init__(self, config: ClipConfig, *, rngs: nnx.Rngs, dtype: DTypeLike = jnp.float32, execution: Execution = DEFAULT):
        self.embeddings = Embeddings(config, rngs=rngs, dtype=dtype)
        self.pre_layrnorm = LayerNorm(config.width, eps=config.eps, dtype=dtype)
        made = {"dtype": dtype, "execution": execution}
        self.layers = Stack(lambda keys: Block(config, rngs=keys, **made), config.layers, rngs=rngs, execution=execution)
        self.post_layernorm = LayerNorm(config.width, eps=config.eps, dtype=dtype)  # stored by CLIP, no part of patch features

    def __call__(self, pixels: Float[Array, "B height width 3"], depths: tuple[int, ...]) -> tuple[Float[Array, "B T D"], ...]:
        """The hidden states after `depths` blocks each (0: before the first), class position included."""
        x = constrain(self.pre_layrnorm(self.embeddings(pixels)), BATCH, None, None)
        states, reached = {}, 0
        for depth in sorted(set(depths)):
            x = self.layers(x, start=reached, stop=depth) if depth > reached else x
            states[depth], reached = x, depth
        return tuple(states[depth] for depth in depths)


def rules() -> list[Rule]:
    """Stored tensors of a tower, relative to its place in the checkpoint."""
    attention = [rule for name in ("q_proj", "k_proj", "v_proj", "out_proj") for rule in linear(f"self_attn.{name}", bias=True)]
    mlp = [*linear("mlp.fc1", bias=True), *linear("mlp.fc2", bias=True)]
    block = [*layer_norm("layer_norm1"), *attention, *layer_norm("layer_norm2"), *mlp]
    patches = Rule("patch_embedding.weight", "patch_embedding.kernel", "o C p q -> (p q C) o")
    embeddings = [*as_stored("class_embedding", "position_embedding.weight"), patches]
    return [
        *within("embeddings", embeddings),
        *layer_norm("pre_layrnorm"),
        *within("encoder", stacked("layers", block), path=""),  # held one level higher
        *layer_norm("post_layernorm"),
    ]
