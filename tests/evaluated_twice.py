"""Two evaluations of one benchmark, with real images, for tests of what people say of them."""

import json
from pathlib import Path

import numpy as np
from PIL import Image

from jax_mdpo.evaluation.benchmarks.protocol import Item, Question
from jax_mdpo.evaluation.items import write_items

NAMES = ("zebra-model", "okapi-model")  # which a blind page must not tell


def write_images(folder: Path, count: int) -> Path:
    """scene-0.jpg and so on: gradients of different colours and shapes."""
    folder.mkdir(parents=True)
    for number in range(count):
        width, height = (1200, 800) if number % 2 else (600, 900)
        ramp = np.linspace(0, 255, width * height * 3).reshape(height, width, 3)
        Image.fromarray(np.roll(ramp, number * 40, axis=-1).astype(np.uint8)).save(
            folder / f"scene-{number}.jpg", comment=NAMES[0].encode()
        )
    return folder


def write_evaluation(folder: Path, answers: dict[int, str], *, benchmark: str = "mmhal", images: bool = True) -> Path:
    """An evaluation's folder whose items are these answers, by question."""
    items = [
        Item(Question(n, f"What is in <scene> {n}?", f"scene-{n}.jpg" if images else b"", "mmhal"), answer, {"rating": 3})
        for n, answer in answers.items()
    ]
    folder.mkdir(parents=True)
    write_items(items, folder / "items.jsonl")
    (folder / "metrics.json").write_text(json.dumps({"benchmark": benchmark}))
    return folder


def write_both(folder: Path, count: int) -> tuple[Path, Path, Path]:
    """Two evaluations that answer `count` questions differently, and the folder of their images."""
    first, second = (
        write_evaluation(folder / name, {n: f"{word} answer to {n}: <b>a {word} scene</b>" for n in range(count)})
        for name, word in zip(NAMES, ("plain", "other"), strict=True)
    )
    return first, second, write_images(folder / "images", count)
