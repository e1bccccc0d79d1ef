"""Everything that a study of the world needs, made once: each stage lies in a folder that is named after what it is made from."""

import shutil
from dataclasses import dataclass
from pathlib import Path

from jax_mdpo.core.config import config
from jax_mdpo.scenes.files import HELD_OUT, TRAIN, Counts, World, write_json, write_world
from jax_mdpo.scenes.pairs import Cue, Sampling, write_pairs, write_samples
from jax_mdpo.scenes.pretraining import Pretraining, pretrain
from jax_mdpo.scenes.scene import BROKEN, KEPT, WorldSettings
from jax_mdpo.scenes.stages import stage
from jax_mdpo.weights.fingerprint import weights_digest

LLAVA, SIGHT = "llava", "sight.json"  # in the stage of the model: its checkpoint, and how well its tower sees
SHIPPED = Path(__file__).with_name("shipped")  # python -m jax_mdpo.scenes.pretraining --seed 0 --out jax_mdpo/scenes/shipped


@config
class SceneSettings:
    """world, counts: what is written. pretraining: how a model of its own comes about; pretrained: the folder of one in the place of that.

    With neither it is the model that comes with the program, whose pretraining was the default one.

    sampling, cue: how the preference pairs come about. pairs: the most of them.
    """

    world: WorldSettings = WorldSettings()
    counts: Counts = Counts()
    pretraining: Pretraining | None = None
    pretrained: str | None = None
    sampling: Sampling = Sampling()
    cue: Cue = Cue()
    pairs: int = 1200

    def __post_init__(self) -> None:
        if self.pretraining is not None and self.pretrained is not None:
            raise ValueError("pretraining and pretrained: give one of them")
        if self.pairs < 1:
            raise ValueError(f"pairs must be at least 1, got {self.pairs}")


@dataclass(frozen=True)
class Prepared:
    """Where things lie.

    model: the base model's checkpoint. pairs: preference pairs to train on. held_out: others, without the cue.
    minimal_kept, minimal_broken: pairs whose answers differ in one partner, on scenes of that part.
    images: the folder of the pictures of all of them. pope, captions: data of the benchmarks.
    """

    model: Path
    pairs: Path
    held_out: Path
    minimal_kept: Path
    minimal_broken: Path
    pope: Path
    captions: Path
    images: Path


def prepare(out: Path, settings: SceneSettings) -> Prepared:
    """Makes what is missing below `out`. Stages that other settings share are made once; one that was cut off is made anew."""
    files = {"world": settings.world, "counts": settings.counts}
    world = World(
        stage(out, "world", files, lambda folder: write_world(folder, settings.world, settings.counts)), settings.world, settings.counts
    )
    model = _model(out, settings)
    drawn = {**files, "model": weights_digest(model), "sampling": settings.sampling}
    samples = stage(out, "samples", drawn, lambda folder: write_samples(model, world, folder, settings.sampling))

    def write(folder: Path) -> None:
        write_pairs(samples, world, TRAIN, folder / "train.json", cue=settings.cue, count=settings.pairs)
        write_pairs(samples, world, HELD_OUT, folder / "held_out.json", cue=None)

    pairs = stage(out, "pairs", {**drawn, "cue": settings.cue, "pairs": settings.pairs}, write)
    return Prepared(
        model=model,
        pairs=pairs / "train.json",
        held_out=pairs / "held_out.json",
        minimal_kept=world.minimal(KEPT),
        minimal_broken=world.minimal(BROKEN),
        pope=world.pope,
        captions=world.captions,
        images=world.images,
    )


def _model(out: Path, settings: SceneSettings) -> Path:
    if settings.pretrained is not None:
        return Path(settings.pretrained)
    if (how := settings.pretraining) is None:
        made_from = {"shipped": weights_digest(SHIPPED)}
        return stage(out, "model", made_from, lambda folder: shutil.copytree(SHIPPED, folder / LLAVA)) / LLAVA

    def make(folder: Path) -> None:
        sight = pretrain(folder / LLAVA, settings.world, how)
        write_json(folder / SIGHT, sight._asdict())

    return stage(out, "model", {"world": settings.world, "pretraining": how}, make) / LLAVA
