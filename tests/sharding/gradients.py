"""Run as a program with eight virtual devices: loss and LoRA gradients on each mesh, written to an .npz file.

python gradients.py CHECKPOINT ADAPTER PAIRS OUT
"""

import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np

from jax_mdpo.data.dataset import PairDataset
from jax_mdpo.data.hard_negatives import RejectedImage
from jax_mdpo.data.settings import DataSettings
from jax_mdpo.data.variants import Variants
from jax_mdpo.lora.attach import factors_of
from jax_mdpo.models.actors import make_actors
from jax_mdpo.models.checkpoint import load_checkpoint
from jax_mdpo.objectives.anchored import Anchored
from jax_mdpo.objectives.conditional import Conditional
from jax_mdpo.objectives.dpo import DPO
from jax_mdpo.recipe.adapters import stored_adapter
from jax_mdpo.sharding.logical import make_mesh
from jax_mdpo.sharding.placing import placing
from jax_mdpo.training.step import Loss

ROWS = 8
MESHES = [(1, 1, 1), (8, 1, 1), (2, 4, 1), (2, 2, 2)]


def gradients(folder: Path, adapter: Path, data: Path, mesh: jax.sharding.Mesh) -> dict[str, np.ndarray]:
    """The loss, and by module and factor the gradient, over `mesh`."""
    checkpoint = load_checkpoint(folder, mesh)
    policy = stored_adapter(adapter, checkpoint)
    actors, frozen, lora = make_actors(checkpoint, policy)
    pairs = PairDataset.open(DataSettings(path=str(data)), checkpoint.processor)
    plans = pairs.ordered_batches(batch_size=ROWS)
    (host,) = pairs.batches(plans, variants=Variants(("clean", "negative"), {"negative": RejectedImage()}))
    batch = placing(mesh, ROWS)(host.batch)
    loss = Loss(actors, (DPO(), Conditional(), Anchored()), chunk=8)
    with checkpoint.scope():
        (value, _), gradient = jax.jit(jax.value_and_grad(loss, has_aux=True))(lora, frozen, batch, jnp.float32(host.batch.valid.sum()))
    spread = {len(leaf.sharding.device_set) for leaf in jax.tree.leaves(frozen.base)}
    split = sum(not leaf.sharding.is_fully_replicated for leaf in jax.tree.leaves(frozen.base))
    found = {"loss": np.asarray(value), "devices": np.asarray(max(spread)), "split": np.asarray(split)}
    for name, (a, b) in factors_of(actors.as_state(gradient), checkpoint.modules, policy.targets).items():
        found |= {f"{name}/A": a, f"{name}/B": b}
    return found


def main() -> None:
    folder, adapter, data, out = map(Path, sys.argv[1:])
    for number, (data_ways, fsdp, tensor) in enumerate(MESHES):
        devices = jax.devices()[: data_ways * fsdp * tensor]
        np.savez(out / f"{number}.npz", **gradients(folder, adapter, data, make_mesh(data_ways, fsdp, tensor, devices)))


if __name__ == "__main__":
    main()
