"""The demo's data on disk: JPEG pictures and two files of pairs, in two of the formats that the program reads."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PIL import Image

from jax_mdpo.core.files import write_text
from jax_mdpo.core.seeds import generator
from jax_mdpo.data.hard_negatives.crop import Crop
from jax_mdpo.demo.captions import ask, describe, hallucinate
from jax_mdpo.demo.scenes import draw_things, render


@dataclass(frozen=True)
class World:
    """Where it lies. train: as the mDPO release; held_out: JSON lines whose records bring their own wrong image, a small crop."""

    images: Path
    train: Path
    held_out: Path


def write_world(folder: Path, *, train: int = 800, held_out: int = 200, seed: int = 0) -> World:
    """Writes `train` and `held_out` pairs with their pictures below `folder`. The same seed gives the same world."""
    world = World(folder / "images", folder / "train.json", folder / "held_out.jsonl")
    rows = [_train_row(world.images, f"train-{i:04d}", seed) for i in range(train)]
    write_text(world.train, json.dumps(rows, indent=1) + "\n")
    rows = [_held_out_row(world.images, f"held-out-{i:04d}", seed) for i in range(held_out)]
    write_text(world.held_out, "".join(json.dumps(row) + "\n" for row in rows))
    return world


def _train_row(images: Path, name: str, seed: int) -> dict[str, Any]:
    picture, texts = _pair(name, seed)
    return {"id": name, "img_path": _save(picture, images, name), **texts}


def _held_out_row(images: Path, name: str, seed: int) -> dict[str, Any]:
    picture, texts = _pair(name, seed)
    left, top, right, bottom = Crop().box(*picture.size, generator(seed, name, "crop"))
    cropped = _save(picture.crop((left, top, right, bottom)), images, f"{name}-crop")
    return {"id": name, "image": _save(picture, images, name), "rejected_image": cropped, **texts}


def _pair(name: str, seed: int) -> tuple[Image.Image, dict[str, str]]:
    rng = generator(seed, "demo", name)
    scene = draw_things(rng)
    texts = {"prompt": ask(rng), "chosen": describe(scene.things), "rejected": describe(hallucinate(scene, rng))}
    return render(scene, rng), texts


def _save(picture: Image.Image, images: Path, name: str) -> str:
    images.mkdir(parents=True, exist_ok=True)
    picture.save(images / f"{name}.jpg", "JPEG", quality=92)
    return f"{name}.jpg"
