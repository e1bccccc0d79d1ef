"""What COCO's annotation files say of an image: which categories have an instance in it, and what its reference captions are."""

import hashlib
import json
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jax_mdpo.core.errors import UserError
from jax_mdpo.core.files import write_text
from jax_mdpo.data.cache import cache_folder
from jax_mdpo.evaluation.benchmarks.coco_words import ObjectWords


@dataclass(frozen=True)
class Annotated:
    """An image of COCO. categories: those of its instances, each once, sorted."""

    file_name: str
    categories: tuple[str, ...]
    captions: tuple[str, ...]

    def objects(self, words: ObjectWords, split: Callable[[str], Sequence[str]]) -> frozenset[str]:
        """The nodes of the image's categories and of what its captions mention. split: a caption → its words, pairs joined."""
        mentioned = (mention.node for caption in self.captions for mention in words.mentions(split(caption)))
        return frozenset([words.nodes[category] for category in self.categories] + list(mentioned))


def annotated(data: Path, nodes: frozenset[str]) -> Mapping[int, Annotated]:
    """COCO's images by id, from the instances_*.json and captions_*.json in `data` or its folder annotations/.

    nodes: the words that categories may have. Raises UserError where a split lacks one of its two files.
    """
    instances, captions = (_splits(data, kind) for kind in ("instances", "captions"))
    if not instances or set(instances) != set(captions):
        raise UserError(
            f"{data} does not hold COCO's annotations in pairs",
            expected="instances_X.json and captions_X.json of the same splits X, such as val2014",
            got=", ".join(sorted(path.name for path in [*instances.values(), *captions.values()])) or "neither",
            fix="unpack annotations_trainval2014.zip of the COCO data set there, or link to its files",
        )
    images: dict[int, Annotated] = {}
    for split, path in sorted(instances.items()):
        categories = _categories(path)
        unknown = {name for names in categories.values() for name in names} - nodes
        if unknown:
            raise UserError(f"{path} has categories that the list of synonyms lacks: {', '.join(sorted(unknown))}")
        images |= _joined(_read(captions[split]), captions[split], categories)
    return images


def _splits(data: Path, kind: str) -> dict[str, Path]:
    return {path.stem.removeprefix(f"{kind}_"): path for folder in (data, data / "annotations") for path in folder.glob(f"{kind}_*.json")}


def _joined(captions: Mapping[str, Any], path: Path, categories: Mapping[int, Sequence[str]]) -> dict[int, Annotated]:
    texts: dict[int, list[str]] = defaultdict(list)
    try:
        for caption in captions["annotations"]:
            texts[caption["image_id"]].append(caption["caption"])
        return {
            image["id"]: Annotated(image["file_name"], tuple(categories.get(image["id"], ())), tuple(texts[image["id"]]))
            for image in captions["images"]
        }
    except (KeyError, TypeError) as error:
        raise _not_coco(path, error) from None


def _categories(path: Path) -> dict[int, list[str]]:
    """The categories of each image. They are kept on disk: the files are hundreds of megabytes of outlines."""
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    kept = cache_folder() / "coco_categories" / f"{digest}.json"
    if kept.is_file():
        return {int(image): names for image, names in json.loads(kept.read_text(encoding="utf-8")).items()}
    found = _categories_in(_read(path), path)
    write_text(kept, json.dumps(found))
    return found


def _categories_in(content: Mapping[str, Any], path: Path) -> dict[int, list[str]]:
    found: dict[int, set[str]] = defaultdict(set)
    try:
        names = {category["id"]: category["name"] for category in content["categories"]}
        for instance in content["annotations"]:
            found[instance["image_id"]].add(names[instance["category_id"]])
    except (KeyError, TypeError) as error:
        raise _not_coco(path, error) from None
    return {image: sorted(named) for image, named in found.items()}


def _read(path: Path) -> Mapping[str, Any]:
    try:
        return json.loads(path.read_bytes())
    except (OSError, ValueError) as error:
        raise UserError(f"{path} cannot be read: {error}", expected="JSON, as the COCO data set has it") from None


def _not_coco(path: Path, error: Exception) -> UserError:
    return UserError(f"{path} is no annotation file of COCO: {type(error).__name__} {error}")
