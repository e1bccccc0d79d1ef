"""The tiny LLaVA from scratch: `python -m jax_mdpo.scenes.pretraining --seed 0 --out FOLDER`.

First the tower, which learns what is in a picture; then projector and decoder, which learn captions and answers that presume absent
partners. All weights are fitted in float32 by the project's own modules; nothing is taken from another model.
"""

from pathlib import Path
from typing import Annotated, Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import typer
from flax import nnx

from jax_mdpo.core.config import config
from jax_mdpo.core.protocols import Processor
from jax_mdpo.core.views import CLEAN
from jax_mdpo.layers.execution import Execution
from jax_mdpo.models.families.llava import family
from jax_mdpo.models.families.llava.config import LlavaConfig
from jax_mdpo.models.families.llava.model import Llava
from jax_mdpo.models.saving import stored_tensors
from jax_mdpo.recipe.compilation import keep_compiled_programs
from jax_mdpo.recipe.settings import Dtype
from jax_mdpo.scenes.checkpoint import Sizes, write_checkpoint_files
from jax_mdpo.scenes.decoder import fit_decoder
from jax_mdpo.scenes.fitting import Fit
from jax_mdpo.scenes.kinds import NAMES
from jax_mdpo.scenes.lessons import Lessons, framed, labels_of, teach
from jax_mdpo.scenes.picture import picture_of
from jax_mdpo.scenes.scene import WorldSettings, scene_of
from jax_mdpo.scenes.tower import Looking, features, fit_tower, found
from jax_mdpo.weights.writing import new_folder, write_checkpoint

DRAWN = 0.02  # the standard deviation that the family draws kernels with
UNSEEN = "unseen"  # the split on whose scenes the tower is measured, a tenth as many as it was taught with


@config
class Pretraining:
    """seed: of the first weights and of the order of lessons. dtype: in which the weights are stored."""

    seed: int = 0
    dtype: Dtype = "float16"
    sizes: Sizes = Sizes()
    lessons: Lessons = Lessons()
    tower: Fit = Fit(steps=220)
    decoder: Fit = Fit(steps=220, batch=32)


class Sight(NamedTuple):
    """How well the tower sees what stands in pictures that it was not taught with: shares of objects."""

    recall: float
    precision: float


def pretrain(out: Path, world: WorldSettings, how: Pretraining) -> Sight:
    """Writes the checkpoint folder `out`, whole or not at all. The same settings give the same weights on the same machine.

    Raises UserError where `out` exists and is not empty.
    """
    keep_compiled_programs()
    with new_folder(out) as folder:
        write_checkpoint_files(folder, how.sizes, dtype=how.dtype)
        processor: Any = family.processor(folder)
        model = _drawn(family.configuration(folder, processor), how.seed)
        taught = teach(world, how.lessons, processor)
        words = np.array([processor.tokenizer.token_to_id(f" {name}") for name in NAMES])
        looking = fit_tower(model, words, taught.frames, taught.labels, how.tower, seed=how.seed)
        sight = measure(looking, world, processor, -(-how.lessons.count // 10))
        rows = taught.rows._replace(features={CLEAN: features(model, taught.frames)})
        fit_decoder(model, rows, how.decoder, seed=how.seed)
        weights = jax.tree.map(lambda leaf: leaf.astype(jnp.dtype(how.dtype)), nnx.state(model))
        write_checkpoint(folder, stored_tensors(weights, family.table(model.config)))
    return sight


def _drawn(shape: LlavaConfig, seed: int) -> Llava:
    """First weights. Kernels get a variance of 1 / inputs: the 0.02 of wide models leaves narrow layers nearly silent for long."""

    @nnx.jit
    def draw() -> Llava:
        model = family.build(shape, rngs=nnx.Rngs(seed), execution=Execution(scan=False))
        kernels = {path: leaf for path, leaf in nnx.to_flat_state(nnx.state(model)) if path[-1] == "kernel"}
        scaled = [(path, leaf.replace(leaf[...] / (DRAWN * leaf.shape[-2] ** 0.5))) for path, leaf in kernels.items()]
        nnx.update(model, nnx.from_flat_state(scaled))
        return model

    return draw()


def measure(looking: Looking, world: WorldSettings, processor: Processor, count: int) -> Sight:
    """What the tower's head finds in `count` pictures of the split UNSEEN."""
    scenes = [scene_of(world, UNSEEN, index) for index in range(count)]
    frames = np.stack([framed(picture_of(scene, world, UNSEEN, index), processor) for index, scene in enumerate(scenes)])
    seen, there = found(looking, frames), labels_of(scenes)
    right = float(np.sum(seen & there))
    return Sight(right / float(np.sum(there)), right / max(1.0, float(np.sum(seen))))


def main(
    out: Annotated[Path, typer.Option(help="the checkpoint folder to be written")],
    seed: Annotated[int, typer.Option(help="of the first weights and of the order of lessons")] = 0,
    world_seed: Annotated[int, typer.Option(help="of the world")] = 0,
    dtype: Annotated[str, typer.Option(help="in which the weights are stored: float16, bfloat16 or float32")] = "float16",
) -> None:
    """Train the tiny LLaVA of the scenes world from scratch."""
    sight = pretrain(out, WorldSettings(seed=world_seed), Pretraining(seed=seed, dtype=dtype))  # type: ignore[arg-type]
    print(f"{out}: of the objects in unseen pictures {sight.recall:.1%} are seen; of those seen {sight.precision:.1%} are there")


if __name__ == "__main__":
    typer.run(main)
