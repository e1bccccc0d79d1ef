"""A model from a folder or a hub id onto the devices at hand."""

import logging
from pathlib import Path

import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh

from jax_mdpo.core.errors import ConfigError
from jax_mdpo.layers.attention import choose
from jax_mdpo.layers.execution import Execution
from jax_mdpo.models.checkpoint import Checkpoint, load_checkpoint, stored_dtype
from jax_mdpo.recipe.settings import Dtype, MeshSettings, ModelSettings
from jax_mdpo.sharding.logical import make_mesh
from jax_mdpo.training.progress import Progress
from jax_mdpo.weights.hub import resolve
from jax_mdpo.weights.quantising import Quantization

log = logging.getLogger(__name__)

IN_PLACE_OF_FLOAT16 = {"cpu": "float32", "tpu": "bfloat16"}


def mesh_of(settings: MeshSettings) -> Mesh:
    """The mesh that the settings describe, over all devices. Raises ConfigError where the sizes do not fit their number."""
    try:
        return make_mesh(settings.data, settings.fsdp, settings.tensor)
    except ValueError as error:
        raise ConfigError(str(error), fix="change mesh.data, mesh.fsdp or mesh.tensor") from None


def execution_of(model: ModelSettings, mesh: Mesh, dtype: np.dtype) -> Execution:
    """How a model in `dtype` is run on this mesh. Raises ConfigError where its devices cannot do what the settings name."""
    return Execution(scan=model.scan, remat=model.remat, attention=choose(model.attention, mesh.abstract_mesh.abstract_device, dtype))


def load(
    model: str | Path,
    *,
    revision: str | None = None,
    dtype: Dtype | None = None,
    quantization: Quantization | None = None,
    mesh: Mesh | None = None,
    execution: Execution | None = None,
) -> Checkpoint:
    """Loads a checkpoint folder or hub id, its weights sharded over `mesh` (by default all devices), with a progress bar.

    dtype: of weights and activations; as stored where not given. quantization: what the decoder's linear layers are held in.
    execution: how the model is run; by default as suits the devices.
    """
    settings = ModelSettings(path=str(model), revision=revision, dtype=dtype, quantization=quantization)
    return load_base(settings, make_mesh() if mesh is None else mesh, execution)


def dtype_of(model: ModelSettings, folder: Path, mesh: Mesh) -> np.dtype:
    """What the weights are held in: as the settings say, else as they are stored, where the devices compute in that.

    XLA multiplies float16 on GPUs alone. Raises ConfigError where the settings ask for it elsewhere.
    """
    stored, platform = stored_dtype(folder), mesh.devices.flat[0].platform
    wanted = stored if model.dtype is None else np.dtype(jnp.dtype(model.dtype))
    if wanted != np.float16 or platform not in IN_PLACE_OF_FLOAT16:
        return wanted
    held = IN_PLACE_OF_FLOAT16[platform]
    if model.dtype is not None:
        raise ConfigError(f"a {platform.upper()} does not compute in float16", got="dtype float16", fix=f"take {held}, or leave dtype out")
    log.warning("%s is stored in float16, in which a %s does not compute: its weights are held in %s", folder.name, platform.upper(), held)
    return np.dtype(jnp.dtype(held))


def load_base(model: ModelSettings, mesh: Mesh, execution: Execution | None = None) -> Checkpoint:
    """The model that a run trains on, as its settings say; `execution` takes the place of what they say of that."""
    folder = resolve(model.path, model.revision)
    dtype = dtype_of(model, folder, mesh)
    with Progress(None, passing=True, label=f"loading {folder.name}") as progress:

        def loaded(done: int, total: int) -> None:
            progress.expect(total)
            progress.update(done)

        return load_checkpoint(
            folder,
            mesh,
            dtype=dtype,
            quantization=model.quantization,
            execution=execution_of(model, mesh, dtype) if execution is None else execution,
            progress=loaded,
        )
