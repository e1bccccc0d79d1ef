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
from jax_mdpo.layers.quantised import quantise
from jax_mdpo.models.families import family_of
from jax_mdpo.sharding.logical import sharding
from jax_mdpo.weights.canonical import CanonicalTensors
from jax_mdpo.weights.files import NUMPY_DTYPES, CheckpointFiles
from jax_mdpo.weights.loading import Leaf, load
from jax_mdpo.weights.quantising import FORMATS, Quantization
from jax_mdpo.weights.tables import Entry, Place, linear_modules, quantised

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

    @property
    def dtype(self) -> np.dtype:
        """Of activations, and of the weights that are not quantised."""
        path = next(entry.path for entry in self.table if entry.format is None)
        return np.dtype(dict(_by_path(self.base))[path].dtype)

    @property
    def quantization(self) -> str | None:
        """The format of the quantised kernels, where there are any."""
        return next((entry.format.name for entry in self.table if entry.format is not None), None)

    @contextmanager
    def scope(self) -> Iterator[None]:
        """Where computations with these weights run: their mesh, and full precision where the weights are float32.

        Accelerators multiply float32 matrices in fewer bits by default; who asks for float32 wants float32.
        """
        precision = "highest" if self.dtype == jnp.float32 else None
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
    quantization: Quantization | None = None,
    execution: Execution = DEFAULT,
    progress: Progress = lambda done, total: None,
) -> Checkpoint:
    """Loads the checkpoint in `folder` onto `mesh`. dtype: of weights and activations, by default as stored.

    quantization: the format that the family's quantised part (its decoder's linear layers) is held in; made from the stored values.
    """
    family = family_of(folder)
    processor = family.processor(folder)
    config = family.configuration(folder, processor)
    table = table_of(family, config, quantization)
    files = CheckpointFiles.open(folder)
    wanted = NUMPY_DTYPES[files.dtype] if dtype is None else np.dtype(dtype)
    graph, shapes = abstract(family, config, table, dtype=wanted, execution=execution)
    arrays = load(
        leaves(shapes, mesh), table, CanonicalTensors.of(files), ignored=lambda key: family.ignored(config, key), progress=progress
    )
    base = filled(shapes, arrays)
    return Checkpoint(folder, family, config, processor, table, mesh, graph, base)


def table_of(family: ModuleType, config: Any, quantization: Quantization | None = None) -> list[Entry]:
    """The family's weight table, with the kernels that are to be quantised marked."""
    table = family.table(config)
    return table if quantization is None else quantised(table, family.QUANTISED, FORMATS[quantization])


def abstract(
    family: ModuleType, config: Any, table: list[Entry], *, dtype: np.dtype, execution: Execution
) -> tuple[nnx.GraphDef, nnx.State]:
    """The model's graph and the shapes of its weights, kernels quantised as the table says; nothing is allocated."""

    def build() -> nnx.Module:
        model = family.build(config, rngs=nnx.Rngs(0), dtype=jnp.dtype(dtype), execution=execution)
        for entry in table:
            if entry.format is not None:
                quantise(model, entry.path, entry.format)
        return model

    return nnx.split(nnx.eval_shape(build))


def leaves(shapes: nnx.State, mesh: Mesh) -> dict[str, Leaf]:
    """Every weight by path, with the sharding that its logical axes give it."""
    return {path: Leaf(leaf.shape, np.dtype(leaf.dtype), sharding(mesh, leaf.axes, leaf.shape)) for path, leaf in _by_path(shapes)}


def _by_path(state: nnx.State) -> Iterator[tuple[str, nnx.Variable]]:
    return ((".".join(map(str, path)), leaf) for path, leaf in nnx.to_flat_state(state))


def filled(shapes: nnx.State, arrays: dict[str, jax.Array]) -> nnx.State:
    """The state with `arrays` in the place of its shapes."""
    flat = [(path, leaf.replace(arrays[".".join(map(str, path))])) for path, leaf in nnx.to_flat_state(shapes)]
    return nnx.from_flat_state(flat)
