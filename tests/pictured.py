"""Benchmarks of our own with their images, for a model that is really asked."""

import base64
import json
from pathlib import Path

import numpy as np
from coco_world import coco, synonyms
from PIL import Image

SPLITS = ("random", "popular", "adversarial")
WHAT = "what is in the picture ?"


def jpegs(folder: Path, *names: str) -> Path:
    """A small picture of coloured squares by each name, no two alike."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        rng = np.random.default_rng(list(name.encode()))
        Image.fromarray(rng.integers(0, 256, (5, 4, 3), dtype=np.uint8)).resize((40, 50), Image.Resampling.NEAREST).save(folder / name)
    return folder


def pope(folder: Path, each: int, *, images: int = 4) -> tuple[Path, Path]:
    """Three splits of `each` questions about `images` pictures; returns the questions' folder and the images'."""
    folder.mkdir(parents=True)
    for split in SPLITS:
        rows = [
            {"question_id": id, "image": f"{id % images}.jpg", "text": f"{split} {id} ? {WHAT}", "label": ("no", "yes")[id % 2]}
            for id in range(1, each + 1)
        ]
        write_lines(folder / f"coco_pope_{split}.json", rows)
    return folder, jpegs(folder / "images", *(f"{number}.jpg" for number in range(images)))


def amber(folder: Path, each: int = 2) -> tuple[Path, Path]:
    """`each` images to describe, and as many questions on attributes and on existence; returns the data folder and the images'."""
    types = {"generative": {"truth": ["dog"], "hallu": ["cat"]}, "discriminative-attribute-state": {"truth": "yes"}}
    types["discriminative-hallucination"] = {"truth": "no"}
    annotations = [{"type": type, **rest} for type, rest in types.items() for _ in range(each)]
    numbered = list(enumerate(annotations, start=1))
    files = {
        "annotations": [{"id": id, **annotation} for id, annotation in numbered],
        "query_all": [{"id": id, "image": f"AMBER_{id}.jpg", "query": WHAT} for id, _ in numbered],
        "relation": {"dog": [], "cat": []},
    }
    folder.mkdir(parents=True)
    for name, content in files.items():
        (folder / f"{name}.json").write_text(json.dumps(content))
    (folder / "safe_words.txt").write_text("")
    return folder, jpegs(folder / "images", *(f"AMBER_{id}.jpg" for id, _ in numbered))


def object_halbench(folder: Path, ids: tuple[int, ...]) -> Path:
    """The official file with the images in it, and COCO's annotations: a dog in each."""
    synonyms(folder, "synonyms_refine.txt")
    coco(folder / "annotations", {id: (["dog"], ["A dog."]) for id in ids})
    pictures = jpegs(folder / "pictures", *(f"{id}.jpg" for id in ids))
    rows = [{"image_id": id, "question": WHAT, "image": base64.b64encode((pictures / f"{id}.jpg").read_bytes()).decode()} for id in ids]
    write_lines(folder / "obj_halbench_300_with_image.jsonl", rows)
    return folder


def write_lines(path: Path, rows: list[dict]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def read_lines(path: Path) -> list[dict]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
