"""A handful of preference pairs with real JPEG files, each with a rejected image of its own."""

import json
from pathlib import Path

import numpy as np
from PIL import Image

PROMPT = "USER: <image>\nwhat is in the picture ? ASSISTANT:"
CHOSEN = ["a red cat .", "two small birds on a table .", "no one is here .", "a blue dog and a cat in the picture .", "birds"]
REJECTED = ["a green dog .", "no one .", "there are two dogs on the table .", "a cat", "what ? a small red table there ."]


def write_pairs(folder: Path, count: int = 5, *, prompt: str = PROMPT) -> list[dict]:
    """Writes pairs.jsonl and its images into `folder`; returns the records, image paths absolute."""
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(7)
    for i in range(count):
        pixels = rng.integers(0, 256, (24 + 3 * i, 40 - 2 * (i % 7), 3), dtype=np.uint8)
        Image.fromarray(pixels).resize((60, 44)).save(folder / f"{i}.jpg", quality=90)
    records = [
        {
            "id": f"pair-{i}",
            "image": f"{i}.jpg",
            "rejected_image": f"{(i + 1) % count}.jpg",
            "prompt": prompt,
            "chosen": CHOSEN[i % 5],
            "rejected": REJECTED[(i + i // 5) % 5],
        }
        for i in range(count)
    ]
    (folder / "pairs.jsonl").write_text("".join(json.dumps(record) + "\n" for record in records), encoding="utf-8")
    return [{**record, "image": folder / record["image"], "rejected_image": folder / record["rejected_image"]} for record in records]
