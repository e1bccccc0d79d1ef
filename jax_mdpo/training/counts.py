"""How much work a batch is, over all processes: counted on the device, where a batch is whole, and read with the step's metrics."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Int

from jax_mdpo.core.batch import Batch


@jax.jit
def counted(batch: Batch) -> dict[str, Int[Array, ""]]:
    """pairs: valid rows. tokens: real tokens of prefixes and branches, image positions included, padding not."""
    masks = [batch.prefix.mask, *(branch.mask for branch in batch.branches.values())]
    return {"pairs": jnp.sum(batch.valid), "tokens": sum((jnp.sum(mask) for mask in masks), start=jnp.zeros((), jnp.int32))}
