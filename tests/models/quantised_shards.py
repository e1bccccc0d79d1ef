"""Run as a program with four virtual devices: what loading puts on a mesh is what it puts on one device, and so are products with it.

python quantised_shards.py CHECKPOINT; prints for each format how many kernels the mesh of fsdp 2 and tensor 2 splits
"""

import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from jax_mdpo.models.checkpoint import load_checkpoint
from jax_mdpo.sharding.logical import make_mesh
from jax_mdpo.weights.quantising import FORMATS


def products(checkpoint):
    """A product with each kernel of the second decoder block."""

    def run(base):
        block = checkpoint.model_over(base).language_model.layers.block
        graph, state = nnx.split(block)
        block = nnx.merge(graph, jax.tree.map(lambda leaf: leaf[1], state))
        linears = [getattr(block.self_attn, f"{name}_proj") for name in "qkvo"] + [block.mlp.gate_proj, block.mlp.down_proj]
        return [linear(jnp.linspace(-1, 1, linear.kernel.shape[-2])[None]) for linear in linears]

    with checkpoint.scope():
        return jax.jit(run)(checkpoint.base)


def main() -> None:
    folder = Path(sys.argv[1])
    for name in FORMATS:
        single = load_checkpoint(folder, make_mesh(devices=jax.devices()[:1]), quantization=name)
        spread = load_checkpoint(folder, make_mesh(1, 2, 2), quantization=name)
        for one, other in zip(jax.tree.leaves(single.base), jax.tree.leaves(spread.base), strict=True):
            np.testing.assert_array_equal(np.asarray(one), np.asarray(other))
        for one, other in zip(products(single), products(spread), strict=True):
            np.testing.assert_allclose(np.asarray(one), np.asarray(other), rtol=1e-5, atol=1e-5)
        codes = [leaf for path, leaf in jax.tree.leaves_with_path(spread.base) if "codes" in jax.tree_util.keystr(path)]
        print(name, sum(not leaf.sharding.is_fully_replicated for leaf in codes), "of", len(codes))


if __name__ == "__main__":
    main()
