"""Preference pairs of random words and smoothed noise, as files for jax_mdpo and TRL, and as arrays for torch."""

import json
from pathlib import Path

import numpy as np
from PIL import Image, ImageFilter

from benchmarks.harness.checkpoint import ASSISTANT, IMAGE, SPECIAL, USER, WORDS
from benchmarks.harness.sizes import Size
from jax_mdpo.core.seeds import generator
from jax_mdpo.data.dataset import PairDataset
from jax_mdpo.data.hard_negatives import Crop
from jax_mdpo.data.settings import DataSettings
from jax_mdpo.data.variants import Variants
from jax_mdpo.models.families.llava.processor import LlavaProcessor


def write_pairs(path: Path, images: Path, size: Size, count: int) -> None:
    """`count` pairs of exactly size.prompt and size.response tokens, with a JPEG file each."""
    images.mkdir()
    rows = []
    for number in range(count):
        rng = generator(0, "benchmark pair", number)
        noise = rng.integers(0, 256, (size.picture[1], size.picture[0], 3), np.uint8)
        Image.fromarray(noise).filter(ImageFilter.GaussianBlur(2)).save(images / f"{number}.jpg", quality=90)
        answers = dict.fromkeys(("chosen", "rejected", "contrast"), size.response - 1)  # and </s>
        texts = {"prompt": size.prompt - 3, **answers}  # and <s> USER: ASSISTANT:
        words = {name: " ".join(rng.choice(WORDS, length)) for name, length in texts.items()}
        rows.append({"img_path": f"{number}.jpg", **words})
    path.write_text(json.dumps(rows))


def write_tensors(path: Path, model: Path, pairs: Path, images: Path, size: Size) -> None:
    """By pair, in the file's order: prefix ids [E, P], chosen and rejected [E, R] with the end token, framed images uint8; and the
    processor's scale, mean and standard deviation.
    """
    processor = LlavaProcessor.load(model)
    data = PairDataset.open(DataSettings(path=str(pairs), images=str(images)), processor)
    previews = [data.pair(place, variants=Variants(("clean", "negative"), {"negative": Crop()})) for place in range(len(data))]
    rows = json.loads(pairs.read_text())
    prefix = [_ids(processor, f"{SPECIAL['bos_token']}{USER} {IMAGE} {row['prompt']} {ASSISTANT}") for row in rows]
    answers = {name: [_ids(processor, f"{row[name]} {SPECIAL['eos_token']}") for row in rows] for name in ("chosen", "rejected")}
    arrays = {name: np.array(ids, np.int64) for name, ids in {"prefix": prefix, **answers}.items()}
    expected = {"prefix": size.image_tokens + size.prompt, "chosen": size.response, "rejected": size.response}
    for name, length in expected.items():
        if arrays[name].shape[1] != length:
            raise ValueError(f"{name} has {arrays[name].shape[1]} tokens, expected {length}")
    np.savez(
        path,
        clean=np.stack([np.asarray(preview.images["clean"]) for preview in previews]),
        negative=np.stack([np.asarray(preview.images["negative"]) for preview in previews]),
        scale=processor.pixel_scale,
        mean=processor.pixel_mean,
        std=processor.pixel_std,
        **arrays,
    )


def _ids(processor: LlavaProcessor, text: str) -> list[int]:
    return processor.expand(processor.tokenize(text, special_tokens=False).ids)[0]
