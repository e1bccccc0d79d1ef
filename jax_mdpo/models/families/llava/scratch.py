"""Random weights for a folder that has a configuration and processor files, as transformers would store them."""

from pathlib import Path

import jax
from flax import nnx

from jax_mdpo.models.families.llava import family
from jax_mdpo.models.saving import stored_tensors
from jax_mdpo.weights.writing import write_checkpoint


def write_scratch(folder: Path, *, seed: int) -> None:
    """Writes float32 weights drawn from `seed` beside the config.json in `folder`, in transformers' current key layout."""
    config = family.configuration(folder, family.processor(folder))
    with jax.default_device(jax.devices("cpu")[0]):
        base = jax.jit(lambda: nnx.state(family.build(config, rngs=nnx.Rngs(seed))))()
    write_checkpoint(folder, stored_tensors(base, family.table(config)))
