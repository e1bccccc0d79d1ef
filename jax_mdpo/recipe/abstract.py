"""A training run as shapes: the step that `train` compiles and its arguments, on devices that may not exist. Nothing is loaded."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NoReturn, cast

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import nnx
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from jax_mdpo.core.batch import Batch
from jax_mdpo.core.protocols import Processor
from jax_mdpo.core.views import RESPONSES
from jax_mdpo.data.batches import Bucket
from jax_mdpo.data.collate import collate
from jax_mdpo.data.variants import ON_HOST
from jax_mdpo.models.actors import Actors, Frozen, make_actors
from jax_mdpo.models.checkpoint import Checkpoint, abstract, table_of
from jax_mdpo.objectives.term import started
from jax_mdpo.recipe.described import Description
from jax_mdpo.recipe.loading import execution_of
from jax_mdpo.recipe.parts import Parts, adapters_of, images_of, make_parts, variants_of
from jax_mdpo.recipe.settings import RunSettings
from jax_mdpo.sharding.logical import BATCH, sharding, spec
from jax_mdpo.training.state import TrainState

_STEPS = 1000  # of the schedule: a constant in the program, of no shape


class Textless:
    """Stands where a model's processor would: shapes need no text and no pixels."""

    image_placeholder, pad_id, eos_id, end_ids = "", 0, 0, frozenset[int]()

    def _asked(self, *arguments: Any, **options: Any) -> NoReturn:
        raise AssertionError("a run in shapes has no processor")

    frame = blank = expand = render = tokenize = decode = fingerprint = _asked


@dataclass(frozen=True)
class AbstractRun:
    """parts.step(frozen, state, batch) is the run's; frozen and state are shapes with their shardings on the checkpoint's mesh."""

    settings: RunSettings
    checkpoint: Checkpoint
    parts: Parts
    frozen: Frozen
    state: TrainState

    def trace(self, bucket: Bucket) -> Any:
        """The step over batches of this bucket, as jax's stage before lowering."""
        with self.checkpoint.scope():
            return self.parts.step.trace(self.frozen, self.state, self.batch(bucket))

    def batch(self, bucket: Bucket) -> Batch:
        """A whole batch, its rows split over the mesh."""
        settings, checkpoint = self.settings, self.checkpoint
        nothing = [None] * settings.data.pack
        images, looked_at = images_of(settings), settings.vision.cache is not None
        variants = variants_of(settings, images)
        row = collate(
            nothing,
            dict.fromkeys(() if looked_at else variants.held, nothing),
            bucket,
            np.zeros((*checkpoint.family.image_shape(checkpoint.config), 3), np.uint8),
            pack=settings.data.pack,
            responses=settings.responses,
            changed=dict.fromkeys(RESPONSES if settings.asks_changed else (), nothing),
            draws=dict.fromkeys(variants.drawn, [ON_HOST] * settings.data.pack),
            features=dict.fromkeys(images, [self._seen] * settings.data.pack) if looked_at else {},
            reference=dict.fromkeys(settings.reference_views if settings.reference.cache is not None else (), nothing),
        )

        def whole(leaf: np.ndarray) -> jax.ShapeDtypeStruct:
            parts = NamedSharding(checkpoint.mesh, spec((BATCH, *[None] * (leaf.ndim - 1))))
            return jax.ShapeDtypeStruct((settings.rows(settings.data), *leaf.shape[1:]), leaf.dtype, sharding=parts)

        return jax.tree.map(whole, row)

    @property
    def _seen(self) -> np.ndarray:
        """What a cache of the tower's features holds of one image, in zeros."""
        checkpoint = self.checkpoint
        image = jax.ShapeDtypeStruct((1, *checkpoint.family.image_shape(checkpoint.config), 3), np.uint8)

        def look(base: nnx.State, framed: jax.Array) -> jax.Array:
            module = checkpoint.model_over(base)
            return module.look(module.normalise(framed))

        features = jax.eval_shape(look, checkpoint.base, image)
        return np.zeros(features.shape[1:], features.dtype)


def abstract_run(settings: RunSettings, model: Description, mesh: Mesh) -> AbstractRun:
    """The run of these settings over a described model. The mesh's devices may be a topology's."""
    table = table_of(model.family, model.config, settings.model.quantization)
    execution = execution_of(settings.model, mesh, model.dtype)
    graph, shapes = abstract(model.family, model.config, table, dtype=model.dtype, execution=execution)
    folder, textless = model.folder or Path(settings.model.path), cast(Processor, Textless())
    checkpoint = Checkpoint(folder, model.family, model.config, textless, table, mesh, graph, shapes)
    policy, reference = adapters_of(settings, checkpoint)
    made: list[Actors] = []

    def make(base: nnx.State) -> tuple[Frozen, nnx.State]:
        actors, frozen, lora = make_actors(replace(checkpoint, base=base), policy, reference)
        made.append(actors)
        return frozen, actors.as_state(lora)

    frozen, lora = jax.eval_shape(make, shapes)
    placed = Frozen(*(_placed(state, mesh) for state in frozen))
    parts = make_parts(settings, made[0], policy, steps=_STEPS)
    state = _state(parts, nnx.to_pure_dict(_placed(lora, mesh)), mesh)
    return AbstractRun(settings, replace(checkpoint, base=placed.base), parts, placed, state)


def _placed(state: nnx.State, mesh: Mesh) -> nnx.State:
    flat = [
        (path, leaf.replace(jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=sharding(mesh, leaf.axes, leaf.shape))))
        for path, leaf in nnx.to_flat_state(state)
    ]
    return nnx.from_flat_state(flat)


def _state(parts: Parts, lora: dict, mesh: Mesh) -> TrainState:
    """The optimiser's moments lie as the factors do, everything else on every device."""

    def everywhere(leaf: Any) -> jax.ShapeDtypeStruct:
        return jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=NamedSharding(mesh, PartitionSpec()))

    def as_factor(moment: Any, factor: jax.ShapeDtypeStruct) -> jax.ShapeDtypeStruct:
        return jax.ShapeDtypeStruct(moment.shape, moment.dtype, sharding=factor.sharding)

    moments = jax.eval_shape(parts.optimizer.init, lora)
    opt_state = optax.tree_map_params(parts.optimizer, as_factor, moments, lora, transform_non_params=everywhere)
    key = jax.eval_shape(lambda: jax.random.key_data(jax.random.key(0)))
    memory = jax.tree.map(everywhere, jax.eval_shape(lambda: started(parts.loss.terms)))
    return TrainState(everywhere(jax.ShapeDtypeStruct((), jnp.int32)), lora, opt_state, everywhere(key), memory)
