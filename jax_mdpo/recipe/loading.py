"""A model from a folder or a hub id onto the devices at hand."""

import sys
from pathlib import Path

import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh
from rich.progress import Progress

from jax_mdpo.core.errors import ConfigError
from jax_mdpo.layers.execution import DEFAULT, Execution
from jax_mdpo.models.checkpoint import Checkpoint, load_checkpoint
from jax_mdpo.recipe.settings import Dtype, MeshSettings, ModelSettings
from jax_mdpo.sharding.logical import make_mesh
from jax_mdpo.weights.hub import resolve
from jax_mdpo.weights.quantising import Quantization


def mesh_of(settings: MeshSettings) -> Mesh:
    """The mesh that the settings describe, over all devices. Raises ConfigError where the sizes do not fit their number."""
    try:
        return make_mesh(settings.data, settings.fsdp, settings.tensor)
    except ValueError as error:
        raise ConfigError(str(error), fix="change mesh.data, mesh.fsdp or mesh.tensor") from None


def load_base(model: ModelSettings, mesh: Mesh) -> Checkpoint:
    """The model that a run trains on, as its settings say."""
    return load(
        model.path,
        revision=model.revision,
        dtype=model.dtype,
        quantization=model.quantization,
        mesh=mesh,
        execution=model.execution,
    )


def load(
    model: str | Path,
    *,
    revision: str | None = None,
    dtype: Dtype | None = None,
    quantization: Quantization | None = None,
    mesh: Mesh | None = None,
    execution: Execution = DEFAULT,
) -> Checkpoint:
    """Loads a checkpoint folder or hub id, its weights sharded over `mesh` (by default all devices), with a progress bar.

    dtype: of weights and activations; as stored where not given. quantization: what the decoder's linear layers are held in.
    """
    folder = resolve(str(model), revision)
    wanted = None if dtype is None else np.dtype(jnp.dtype(dtype))
    with Progress(transient=True, disable=not sys.stdout.isatty()) as bar:
        task = bar.add_task(f"loading {folder.name}")
        return load_checkpoint(
            folder,
            make_mesh() if mesh is None else mesh,
            dtype=wanted,
            quantization=quantization,
            execution=execution,
            progress=lambda done, total: bar.update(task, completed=done, total=total),
        )
