"""A small COCO: images, annotation files, a list of objects, and a tokeniser that needs no data."""

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from jax_mdpo.evaluation.benchmarks.caption_words import Split
from jax_mdpo.evaluation.benchmarks.language import Loaded

SYNONYMS = [  # lines of our own, in the format of the official files
    "person, man, woman, people, child",
    "motorcycle, scooter,  motor bike, motorbike",
    "bus, minibus",
    "train, locomotive",
    "airplane, jet",
    "traffic light, stoplight",
    "bird, owl",
    "dog, puppy",
    "elephant",
    "bear",
    "tie, bow tie",
    "tennis racket, racket",
    "wine glass",
    "cup",
    "hot dog",
    "cake,  cheesecake, cupcake",
    "chair, seat, stool",
    "couch, sofa ",
    "toilet, potty",
    "oven, stove, stove top oven",
]
CATEGORIES = ("person", "dog", "chair", "bus", "couch", "toilet", "wine glass")


@dataclass(frozen=True)
class Words:
    """A tokeniser without data: words and signs."""

    def load(self) -> Loaded[Split]:
        return Loaded(lambda text: re.findall(r"[\w-]+|[^\w\s]", text), {"tokeniser": "words and signs"})


@dataclass(frozen=True)
class Lemmas:
    """A lemmatiser by a table; other words are their own lemmas."""

    table: tuple[tuple[str, str], ...] = (("dogs", "dog"), ("glasses", "glass"), ("buses", "bus"), ("people", "people"))

    def load(self) -> Loaded[Callable[[str], str]]:
        return Loaded(lambda word: dict(self.table).get(word, word), {"lemmatiser": "a table"})


def coco(folder: Path, images: Mapping[int, tuple[Sequence[str], Sequence[str]]], *, split: str = "val2014") -> Path:
    """Writes annotation files of `images`: id → (the category of each instance, captions)."""
    numbers = {name: 10 + place for place, name in enumerate(CATEGORIES)}
    instances = [{"image_id": id, "category_id": numbers[name]} for id, (names, _) in images.items() for name in names]
    captions = [{"image_id": id, "caption": text} for id, (_, texts) in images.items() for text in texts]
    listed = [{"id": id, "file_name": f"COCO_{split}_{id:012}.jpg"} for id in images]
    categories = [{"id": number, "name": name} for name, number in numbers.items()]
    folder.mkdir(parents=True, exist_ok=True)
    content = {"images": listed, "annotations": instances, "categories": categories}
    (folder / f"instances_{split}.json").write_text(json.dumps(content))
    (folder / f"captions_{split}.json").write_text(json.dumps({"images": listed, "annotations": captions}))
    return folder


def synonyms(folder: Path, name: str) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text("\n".join(SYNONYMS) + "\n")
    return folder
