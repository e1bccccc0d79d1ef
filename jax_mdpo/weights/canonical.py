"""A checkpoint's tensors under the names that weight tables use."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

import numpy as np

from jax_mdpo.weights.files import CheckpointFiles
from jax_mdpo.weights.key_layouts import by_canonical
from jax_mdpo.weights.loading import Index


@dataclass(frozen=True)
class CanonicalTensors:
    """A TensorSource over checkpoint files in any of the key layouts."""

    files: CheckpointFiles
    names: Mapping[str, str]

    @classmethod
    def of(cls, files: CheckpointFiles, names: Callable[[Iterable[str]], Mapping[str, str]] = by_canonical) -> "CanonicalTensors":
        """names: stored keys to a mapping from canonical name to stored key."""
        return cls(files, names(files.tensors))

    def keys(self) -> Iterable[str]:
        """Canonical names of all tensors."""
        return self.names

    def shape(self, key: str) -> tuple[int, ...]:
        """The stored shape."""
        return self.files.tensors[self.names[key]].shape

    def read(self, key: str, index: Index | None = None) -> np.ndarray:
        """The stored tensor, or a slice of it."""
        return self.files.read(self.names[key], index)
