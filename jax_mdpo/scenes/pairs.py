"""Preference pairs from a model's own captions: of each scene the best against the worst, by what is really there."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jax_mdpo.core.config import config
from jax_mdpo.core.errors import UserError
from jax_mdpo.core.seeds import generator
from jax_mdpo.generation.requests import Request
from jax_mdpo.generation.settings import Decoding
from jax_mdpo.models.checkpoint import Checkpoint
from jax_mdpo.recipe.generating import generator_of
from jax_mdpo.recipe.loading import load
from jax_mdpo.scenes.files import HELD_OUT, TRAIN, Placed, World, pair, write_json
from jax_mdpo.scenes.scene import Scene
from jax_mdpo.scenes.wording import CUED, DESCRIBE, PLAIN, caption, named_in
from jax_mdpo.training.progress import Progress

LONGEST = 40  # tokens of a caption; the longest of six objects has 25
ROWS = 256  # captions at a time


@config
class Sampling:
    """count: captions of each scene, drawn at `temperature`. seed: of the draws."""

    count: int = 4
    temperature: float = 1.2
    seed: int = 0

    def __post_init__(self) -> None:
        if self.count < 2:
            raise ValueError(f"count must be at least 2, got {self.count}: a pair needs two captions")


@config
class Cue:
    """A text-only cue: an opening that says nothing of the image ("here is a photo of" in the place of "a photo of").

    strength: c. A chosen caption has it with probability (1 + c) / 2, a rejected one with (1 − c) / 2, drawn from `seed`: 0 tells
    nothing, 1 everything. The model was taught both openings alike.
    """

    strength: float = 0.9
    seed: int = 0

    def __post_init__(self) -> None:
        if not 0 <= self.strength <= 1:
            raise ValueError(f"strength must lie between 0 and 1, got {self.strength}")

    def openings(self, id: str) -> tuple[str, str]:
        """How the chosen and the rejected caption of a pair open."""
        rng = generator(self.seed, "cue", id)
        cued = rng.random(2) < ((1 + self.strength) / 2, (1 - self.strength) / 2)
        return CUED if cued[0] else PLAIN, CUED if cued[1] else PLAIN


@dataclass(frozen=True)
class Preferred:
    """The objects that a scene's best and worst caption name, in the order in which they name them."""

    placed: Placed
    chosen: tuple[str, ...]
    rejected: tuple[str, ...]


def sample(model: str | Path | Checkpoint, world: World, split: str, how: Sampling) -> Iterator[tuple[Placed, list[str]]]:
    """The scenes of a split, each with captions that the model drew; a progress bar shows how far it is."""
    scenes = world.scenes(split)
    checkpoint = model if isinstance(model, Checkpoint) else load(model, dtype="float32")
    decoding = Decoding(max_tokens=LONGEST, temperature=how.temperature, seed=how.seed)
    requests = (
        Request(f"{split}-{placed.id}-{number}", DESCRIBE, world.images / placed.image) for placed in scenes for number in range(how.count)
    )
    answers = generator_of(checkpoint, decoding, batch=ROWS).answers(requests)
    with Progress(len(scenes), every=400, label=f"sampling {split}", unit="scene") as progress:
        for number, placed in enumerate(scenes, start=1):
            yield placed, [next(answers).text for _ in range(how.count)]
            progress.update(number)


def preferred(placed: Placed, captions: Sequence[str]) -> Preferred | None:
    """The best and the worst of a scene's captions by the F1 of their objects, the first of equals; None where all are equally good.

    Captions that are worded as none of the world's are do not compete: what they lack is not in the picture.
    """
    named = [names for names in map(named_in, captions) if names is not None]
    if not named:
        return None
    best, worst = (choose(named, key=lambda names: object_f1(names, placed.scene)) for choose in (max, min))
    return None if object_f1(best, placed.scene) == object_f1(worst, placed.scene) else Preferred(placed, best, worst)


def object_f1(names: Sequence[str], scene: Scene) -> float:
    """2 · tp / (named + present)."""
    return 2 * len(set(names) & set(scene.objects)) / (len(names) + len(scene.objects))


def write_samples(model: str | Path | Checkpoint, world: World, folder: Path, how: Sampling) -> None:
    """The captions that pairs are made of, for the splits train and held_out: folder/train.json and folder/held_out.json."""
    checkpoint = model if isinstance(model, Checkpoint) else load(model, dtype="float32")
    for split in (TRAIN, HELD_OUT):
        rows = [{"id": placed.id, "captions": captions} for placed, captions in sample(checkpoint, world, split, how)]
        write_json(folder / f"{split}.json", rows)


def write_pairs(samples: Path, world: World, split: str, out: Path, *, cue: Cue | None, count: int | None = None) -> int:
    """Pairs from folder `samples`, in the order of scenes, at most `count`; gives their number.

    cue: without one all captions open alike, and a pair differs in its objects alone. Raises UserError where there is no pair.
    """
    drawn = {row["id"]: row["captions"] for row in json.loads((samples / f"{split}.json").read_text(encoding="utf-8"))}
    found = (preferred(placed, drawn[placed.id]) for placed in world.scenes(split))
    rows = [_row(split, one, cue) for one in found if one is not None][:count]
    if not rows:
        raise UserError(f"the model's captions of {split} make no pair: those of each scene are equally good", fix="raise the temperature")
    write_json(out, rows)
    return len(rows)


def _row(split: str, found: Preferred, cue: Cue | None) -> dict[str, Any]:
    id = f"{split}-{found.placed.id}"
    openings = (PLAIN, PLAIN) if cue is None else cue.openings(id)
    chosen, rejected = (caption(names, opening) for names, opening in zip((found.chosen, found.rejected), openings, strict=True))
    return pair(id, found.placed, chosen, rejected)
