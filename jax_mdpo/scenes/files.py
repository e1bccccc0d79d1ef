"""The world on disk, in the formats of others: JPEG pictures, CHAIR's annotations, POPE's questions and preference pairs."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jax_mdpo.core.config import config
from jax_mdpo.core.files import write_text
from jax_mdpo.core.seeds import generator
from jax_mdpo.evaluation.benchmarks.pope import SPLITS
from jax_mdpo.scenes.kinds import NAMES, PARTNER
from jax_mdpo.scenes.picture import picture_of
from jax_mdpo.scenes.scene import BROKEN, KEPT, PARTS, Scene, WorldSettings, in_order, scene_of
from jax_mdpo.scenes.wording import DESCRIBE, caption, question
from jax_mdpo.training.progress import Progress

TRAIN, HELD_OUT = "train", "held_out"  # whose scenes the model's samples are of
POPULAR = NAMES[: len(NAMES) // 2]  # the kinds that are drawn most often


@config
class Counts:
    """Scenes of each split; of the evaluation's two parts, kept and broken, so many each."""

    train: int = 2400
    held_out: int = 400
    evaluation: int = 300

    def __post_init__(self) -> None:
        for name in ("train", "held_out", "evaluation"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, got {getattr(self, name)}")


@dataclass(frozen=True)
class Placed:
    """A scene whose picture is a file. image: its path below the folder of the images. id: unique over all splits."""

    id: int
    image: str
    scene: Scene


@dataclass(frozen=True)
class World:
    """Where it lies.

    images: the pictures, a folder for each split. captions: what CHAIR and SceneCaptions read. pope: its three splits, on broken scenes.
    minimal: pairs whose answers differ in one partner, on a part of the evaluation scenes.
    """

    folder: Path
    settings: WorldSettings
    counts: Counts

    @property
    def images(self) -> Path:
        return self.folder / "images"

    @property
    def captions(self) -> Path:
        return self.folder / "captions"

    @property
    def pope(self) -> Path:
        return self.folder / "pope"

    def minimal(self, part: str) -> Path:
        return self.folder / f"minimal_{part}.json"

    @property
    def splits(self) -> dict[str, int]:
        """How many scenes each split has."""
        evaluation = self.counts.evaluation
        return {KEPT: evaluation, BROKEN: evaluation, TRAIN: self.counts.train, HELD_OUT: self.counts.held_out}

    def scenes(self, split: str) -> list[Placed]:
        """The scenes of a split: of its own part in "kept" and "broken", every second one broken in the others."""
        names = list(self.splits)
        first = sum(self.splits[other] for other in names[: names.index(split)])
        parts = (split,) if split in PARTS else PARTS
        return [
            Placed(first + index, f"{split}/{index:05d}.jpg", scene_of(self.settings, split, index, parts[index % len(parts)]))
            for index in range(self.splits[split])
        ]


def write_world(folder: Path, settings: WorldSettings, counts: Counts) -> World:
    """Writes everything that depends on no model. The same settings give the same bytes."""
    world = World(folder, settings, counts)
    with Progress(sum(world.splits.values()), every=1000, label="drawing", unit="picture") as progress:
        for split in world.splits:
            (world.images / split).mkdir(parents=True, exist_ok=True)
            for index, placed in enumerate(world.scenes(split)):
                (world.images / placed.image).write_bytes(picture_of(placed.scene, settings, split, index))
                progress.update(placed.id + 1)
    write_annotations(world.captions, {part: world.scenes(part) for part in PARTS})
    write_pope(world.pope, world.scenes(BROKEN), settings)
    for part in PARTS:
        write_json(world.minimal(part), minimal_pairs(world.scenes(part), settings))
    return world


def write_annotations(folder: Path, parts: Mapping[str, Sequence[Placed]]) -> None:
    """CHAIR's synonyms.txt, and COCO's instances and captions of each part; the captions are true."""
    write_text(folder / "synonyms.txt", "".join(f"{name}\n" for name in NAMES))
    categories = [{"id": number, "name": name} for number, name in enumerate(NAMES)]
    for part, scenes in parts.items():
        images = [{"id": placed.id, "file_name": placed.image} for placed in scenes]
        instances = [{"image_id": placed.id, "category_id": NAMES.index(name)} for placed in scenes for name in placed.scene.objects]
        captions = [{"image_id": placed.id, "caption": caption(placed.scene.objects)} for placed in scenes]
        for kind, annotations in (("instances", _numbered(instances)), ("captions", _numbered(captions))):
            content = {"images": images, "annotations": annotations, "categories": categories}
            write_json(folder / "annotations" / f"{kind}_{part}.json", content)


def _numbered(rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    return [{"id": number, **row} for number, row in enumerate(rows)]


def write_pope(folder: Path, scenes: Sequence[Placed], settings: WorldSettings) -> None:
    """POPE's three files: of each scene an object that is there, the same in all three, and one that is not.

    The latter is, as in POPE, any (random), one of the most frequent kinds (popular), or what most often stands beside what is there
    (adversarial): a missing partner, which the other two splits do not ask for.
    """
    for split in SPLITS:
        rows: list[dict[str, Any]] = []
        for placed in scenes:
            scene = placed.scene
            there = generator(settings.seed, "pope", "there", placed.id).choice(scene.objects)
            others = [name for name in NAMES if name not in scene.objects and name not in scene.missing]
            candidates = {"random": others, "popular": [name for name in others if name in POPULAR], "adversarial": scene.missing}
            absent = generator(settings.seed, "pope", split, placed.id).choice(candidates[split])
            for name, label in ((str(there), "yes"), (str(absent), "no")):
                rows.append({"question_id": len(rows) + 1, "image": placed.image, "text": question(name), "label": label})
        write_text(folder / f"scenes_pope_{split}.json", "".join(json.dumps(row) + "\n" for row in rows))


def minimal_pairs(scenes: Sequence[Placed], settings: WorldSettings) -> list[dict[str, Any]]:
    """The true caption, chosen, against the same with a partner more (on broken scenes) or with one less (on kept ones)."""
    pairs = []
    for placed in scenes:
        scene = placed.scene
        named = set(scene.objects)
        rng = generator(settings.seed, "minimal", placed.id)
        if scene.part == BROKEN:
            other = named | {str(rng.choice(scene.missing))}
        else:
            other = named - {str(rng.choice([name for name in scene.objects if PARTNER[name] in named]))}
        pairs.append(pair(f"{scene.part}-{placed.id}", placed, caption(scene.objects), caption(in_order(other))))
    return pairs


def pair(id: str, placed: Placed, chosen: str, rejected: str) -> dict[str, Any]:
    """A preference pair of two captions, in the columns that any reader takes."""
    return {"id": id, "image": placed.image, "prompt": DESCRIBE, "chosen": chosen, "rejected": rejected}


def write_json(path: Path, content: Any) -> None:
    """Indented, so that a person can read it."""
    write_text(path, json.dumps(content, indent=1) + "\n")
