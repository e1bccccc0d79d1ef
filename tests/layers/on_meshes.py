"""Run as a program with eight virtual devices: splash's outputs and gradients on each mesh, written to an .npz file.

python on_meshes.py OUT
"""

import sys

import jax
import jax.numpy as jnp
import numpy as np
from layers.rows import SEVERAL, tensors

from jax_mdpo.layers.attention import attend
from jax_mdpo.layers.rows import Rows
from jax_mdpo.sharding.logical import BATCH, make_mesh, sharding

# with four tensor ways the two key-value heads cannot be split, and the query heads stay with them
MESHES = {"data 1": (1, 1, 1), "data 2, fsdp 2, tensor 2": (2, 2, 2), "fsdp 2, tensor 4": (1, 2, 4)}


def run(mesh: jax.sharding.Mesh) -> tuple[jax.Array, ...]:
    """Four rows: the three drawn ones and the first again."""
    four = [np.concatenate([x, x[:1]]) for x in (*tensors(1, 10), SEVERAL.prefix, SEVERAL.first, SEVERAL.second)]
    axes = [(BATCH, None, "heads", None)] * 3 + [(BATCH, None)] * 3

    def both(q, k, v, prefix, first, second):
        rows = Rows(prefix, (first, second), SEVERAL.pairs)
        outputs, pull = jax.vjp(lambda *of: jnp.where(rows.segments[..., None, None] > 0, attend(*of, rows, "splash"), 0), q, k, v)
        return outputs, *pull(jnp.sin(outputs))

    with jax.set_mesh(mesh):
        return jax.jit(both)(*(jax.device_put(x, sharding(mesh, of, x.shape)) for x, of in zip(four, axes, strict=True)))


def main() -> None:
    found = {}
    for name, ways in MESHES.items():
        results = run(make_mesh(*ways, devices=jax.devices()[: np.prod(ways)]))
        found |= {f"{name}/{number}": np.asarray(result) for number, result in enumerate(results)}
        found[f"{name}/heads"] = np.asarray(results[0].sharding.shard_shape(results[0].shape)[2])
    np.savez(sys.argv[1], **found)


if __name__ == "__main__":
    main()
