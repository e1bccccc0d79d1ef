"""A model and the pairs that it is to judge."""

from pathlib import Path
from typing import NamedTuple

from jax_mdpo.core.views import Model
from jax_mdpo.data.dataset import PairDataset
from jax_mdpo.data.settings import DataSettings
from jax_mdpo.models.actors import Actors, Frozen, make_actors
from jax_mdpo.models.checkpoint import Checkpoint
from jax_mdpo.recipe.adapters import stored_adapter
from jax_mdpo.recipe.compilation import keep_compiled_programs
from jax_mdpo.recipe.loading import load
from jax_mdpo.recipe.settings import Dtype
from jax_mdpo.weights.quantising import Quantization


class Opened(NamedTuple):
    """models: policy and reference where there is an adapter, whose base is the reference; else the policy alone."""

    checkpoint: Checkpoint
    pairs: PairDataset
    actors: Actors
    frozen: Frozen
    lora: dict
    models: tuple[Model, ...]


def opened(
    model: Checkpoint | str | Path,
    data: DataSettings | str | Path,
    *,
    adapter: str | Path | None,
    images: str | Path | None,
    dtype: Dtype | None,
    quantization: Quantization | None,
) -> Opened:
    """Both, from what a caller names them by: a loaded checkpoint, a folder or a hub id; settings, or the path of the pairs."""
    keep_compiled_programs()
    settings = data if isinstance(data, DataSettings) else DataSettings(path=str(data), images=None if images is None else str(images))
    checkpoint = model if isinstance(model, Checkpoint) else load(model, dtype=dtype, quantization=quantization)
    pairs = PairDataset.open(settings, checkpoint.processor)
    weights = None if adapter is None else stored_adapter(Path(adapter), checkpoint)
    return Opened(checkpoint, pairs, *make_actors(checkpoint, weights), ("policy",) if weights is None else ("policy", "reference"))
