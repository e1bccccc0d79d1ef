"""A loaded base model: graph, sharded weights, and everything of its checkpoint that later steps need."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jax.sharding import Mesh

from jax_mdpo.core.protocols import Processor
from jax_mdpo.layers.execution import DEFAULT, Execution
from jax_mdpo.models.families import family_of
from jax_mdpo.sharding.logical import sharding
from jax_mdpo.weights.canonical import CanonicalTensors
from jax_mdpo.weights.files import NUMPY_DTYPES, CheckpointFiles
from jax_mdpo.weights.loading import Leaf, load
from jax_mdpo.weights.tables import Entry, Place, linear_modules

Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Checkpoint:
    """graph and base are the model taken apart: nnx.merge(graph, base) is a VisionLanguageModel whose weights lie on `mesh`."""

    folder: Path
    family: ModuleType
    config: Any
    processor: Processor
    table: list[Entry]
    mesh: Mesh
    graph: nnx.GraphDef
    base: nnx.State

    @property
    def modules(self) -> dict[str, Place]:
        """Every linear layer by its Hugging Face module name."""
        return linear_modules(self.table)

    @contextmanager
    def scope(self) -> Iterator[None]:
        """Where computations with these weights run: their mesh, and full precision where the weights are float32.

        Accelerators multiply float32 matrices in fewer bits by default; who asks for float32 wants float32.
        """
        dtype = jax.tree.leaves(self.base)[0].dtype
        precision = "highest" if dtype == jnp.float32 else None
        with jax.set_mesh(self.mesh), jax.default_matmul_precision(precision):
            yield

    def model(self) -> nnx.Module:
        """A new module object over the same weights; attaching adapters to it leaves this checkpoint as it is."""
        return self.model_over(self.base)

    def model_over(self, base: nnx.State) -> nnx.Module:
        """The model over other arrays of the same structure: inside jit, the traced ones."""
        return nnx.merge(self.graph, base)


def stored_dtype(folder: Path) -> np.dtype:
    """The dtype that most of the checkpoint's parameters are stored in."""
    return NUMPY_DTYPES[CheckpointFiles.open(folder).dtype]


def load_checkpoint(
    folder: Path,
    mesh: Mesh,
    *,
    dtype: np.dtype | None = None,
    execution: Execution = DEFAULT,
    progress: Progress = lambda done, total: None,
) -> Checkpoint:
    """Loads the checkpoint in `folder` onto `mesh`. dtype: of weights and activations, by default as stored."""
    family = family_of(folder)
    processor = family.processor(folder)
    config = family.configuration(folder, processor)
    table = family.table(config)
    files = CheckpointFiles.open(folder)
    wanted = NUMPY_DTYPES[files.dtype] if dtype is None else np.dtype(dtype)
    graph, shapes = abstract(family, config, dtype=wanted, execution=execution)
    arrays = load(
        leaves(shapes, mesh), table, CanonicalTensors.of(files), ignored=lambda key: family.ignored(config, key), progress=progress
    )
    base = filled(shapes, arrays)
    return Checkpoint(folder, family, config, processor, table, mesh, graph, base)


def abstract(family: ModuleType, config: Any, *, dtype: np.dtype, execution: Execution) -> tuple[nnx.GraphDef, nnx.State]:
    """The model's graph and the shapes of its weights; nothing is allocated."""
    model = nnx.eval_shape(lambda: family.build(config, rngs=nnx.Rngs(0), dtype=jnp.dtype(dtype), execution=execution))
    return nnx.split(model)


def leaves(shapes: nnx.State, mesh: Mesh) -> dict[str, Leaf]:
    """Every weight by path, with the sharding that its logical axes give it."""
    return {
        ".".join(map(str, path)): Leaf(leaf.shape, np.dtype(leaf.dtype), sharding(mesh, leaf.axes, leaf.shape))
        for path, leaf in nnx.to_flat_state(shapes)
    }


def filled(shapes: nnx.State, arrays: dict[str, jax.Array]) -> nnx.State:
    """The state with `arrays` in the place of its shapes."""
    flat = [(path, leaf.replace(arrays[".".join(map(str, path))])) for path, leaf in nnx.to_flat_state(shapes)]
    return nnx.from_flat_state(flat)
