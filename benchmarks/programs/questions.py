"""The questions that programs answer: a prompt with an image each. Imports nothing that is measured."""

import json
from pathlib import Path


def questions(folder: Path, count: int) -> list[tuple[int, str, Path]]:
    """(number, prompt, image file) of the first pairs of a world."""
    rows = json.loads((folder / "pairs.json").read_text())[:count]
    return [(number, row["prompt"], folder / "images" / row["img_path"]) for number, row in enumerate(rows)]
