"""Images per second and worker of the data pipeline, next to bare decoding and resizing in the same run.

    python benchmarks/image_pipeline.py [--checkpoint DIR] [--images 256] [--seconds 10] [--out FILE.json]

Writes JPEG files of 640 × 480 pixels (noise that is smoothed, so that they compress like photographs), and measures by turns, one
process each: decoding with Pillow and resizing the shorter side to 336; the same by the pipeline's own opening and framing; the whole
pipeline (open, frame to 336 × 336, crop hard negative, encode, collate) with no worker and with one. An image counts once, though the
pipeline makes two of it: clean and negative. Without --checkpoint, a processor with LLaVA-1.5's geometry and a small tokenizer is made
on the spot; the tokens are encoded before the clock starts, as in training.
"""

import argparse
import json
import os
import platform
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from PIL import Image, ImageFilter
from rich.console import Console
from rich.table import Table
from tokenizers import AddedToken, Tokenizer, models, pre_tokenizers, trainers

from jax_mdpo.data.dataset import PairDataset
from jax_mdpo.data.hard_negatives import Crop
from jax_mdpo.data.images import open_image
from jax_mdpo.data.settings import PILLOW_LIMIT, DataSettings
from jax_mdpo.models.families.llava.framing import Framing
from jax_mdpo.models.families.llava.processor import LlavaProcessor

SIZE, SIDE, BATCH = (640, 480), 336, 16
WARM_UP = 6  # elements that are not counted: what was prefetched while nobody waited, too
ROUNDS = 3  # each way is measured by turns, so that a busy moment of the machine falls on all of them


def write_pairs(folder: Path, count: int) -> Path:
    """`count` pairs with an image each; the path of the data file."""
    rows = []
    for number in range(count):
        noise = np.random.default_rng(number).integers(0, 256, (SIZE[1], SIZE[0], 3), np.uint8)
        image = Image.fromarray(noise).filter(ImageFilter.GaussianBlur(2))
        image.save(folder / f"{number}.jpg", quality=90)
        prompt = "USER: <image>\nWhat is shown here? ASSISTANT:"
        rows.append({"image": f"{number}.jpg", "prompt": prompt, "chosen": "cats " * 60, "rejected": "dogs " * 50})
    path = folder / "pairs.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def made_processor() -> LlavaProcessor:
    """LLaVA-1.5's geometry with a tokenizer of words."""
    tokenizer = Tokenizer(models.WordLevel(unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.train_from_iterator(["cats dogs What is shown here"], trainers.WordLevelTrainer(special_tokens=["<unk>", "</s>"]))
    tokenizer.add_special_tokens([AddedToken("<image>", special=True)])
    return LlavaProcessor(
        tokenizer=tokenizer,
        template=None,
        special_texts={},
        framing=Framing(shortest_edge=SIDE, crop=(SIDE, SIDE)),
        input_size=(SIDE, SIDE),
        image_placeholder="<image>",
        image_id=tokenizer.token_to_id("<image>"),
        image_features=576,
        pad_id=0,
        eos_id=1,
        eos_ids=frozenset({1}),
        pixel_scale=1 / 255,
        pixel_mean=(0.5, 0.5, 0.5),
        pixel_std=(0.5, 0.5, 0.5),
    )


def bare(paths: list[Path]) -> Iterator[int]:
    """Pillow alone: decode, shorter side to SIDE."""
    scale = SIDE / min(SIZE)
    size = (round(SIZE[0] * scale), round(SIZE[1] * scale))
    while True:
        for path in paths:
            with Image.open(path) as image:
                np.asarray(image.resize(size, Image.Resampling.BICUBIC))
            yield 1


def framed(paths: list[Path], processor: LlavaProcessor) -> Iterator[int]:
    """The pipeline's opening and framing, without the rest of it."""
    while True:
        for path in paths:
            np.asarray(processor.frame(open_image(path, max_pixels=PILLOW_LIMIT, name=path.name)))
            yield 1


def whole(path: Path, processor: LlavaProcessor, workers: int) -> Iterator[int]:
    """The pipeline as training uses it."""
    data = PairDataset.open(DataSettings(path=str(path), workers=workers), processor)
    plans = [plan for epoch in range(100) for plan in data.epoch_batches(batch_size=BATCH, seed=0, epoch=epoch)]
    for batch in data.batches(plans, negative=Crop(), variants=("clean", "negative")):
        yield int(batch.batch.valid.sum())


class Rate(NamedTuple):
    """per_second: images by the clock. cpu_ms: this process's processor time for one, all threads; it does not mind a busy machine."""

    per_second: float
    cpu_ms: float


def rate(make: Callable[[], Iterator[int]], seconds: float) -> Rate:
    """The rate after the first few elements, which pay for the start."""
    counts = make()
    for _ in range(WARM_UP):
        next(counts)
    done, begin, cpu = 0, time.perf_counter(), time.process_time()
    while time.perf_counter() - begin < seconds:
        done += next(counts)
    passed, spent = time.perf_counter() - begin, time.process_time() - cpu
    counts.close()  # type: ignore[attr-defined]
    return Rate(done / passed, 1000 * spent / done)


def measure(folder: Path, images: int, seconds: float, checkpoint: Path | None) -> dict[str, Any]:
    path = write_pairs(folder, images)
    paths = sorted(folder.glob("*.jpg"))
    processor = made_processor() if checkpoint is None else LlavaProcessor.load(checkpoint)
    ways: dict[str, Callable[[], Iterator[int]]] = {
        "bare decode and resize": lambda: bare(paths),
        "open and frame": lambda: framed(paths, processor),
        "pipeline, no worker": lambda: whole(path, processor, 0),
        "pipeline, one worker": lambda: whole(path, processor, 1),
    }
    rounds = [{name: rate(make, seconds / ROUNDS) for name, make in ways.items()} for _ in range(ROUNDS)]
    rates = {name: sorted(turn[name] for turn in rounds) for name in ways}
    return {
        "images_per_second": {name: found[ROUNDS // 2].per_second for name, found in rates.items()},
        "range": {name: [found[0].per_second, found[-1].per_second] for name, found in rates.items()},
        "cpu_ms_per_image": {name: sorted(turn.cpu_ms for turn in found)[ROUNDS // 2] for name, found in rates.items()},
        "image": {"format": "JPEG", "width": SIZE[0], "height": SIZE[1], "mean_bytes": sum(p.stat().st_size for p in paths) / len(paths)},
        "machine": {"processor": platform.processor() or platform.machine(), "cores": os.cpu_count(), "load": os.getloadavg()[0]},
    }


def show(report: dict[str, Any]) -> None:
    table = Table("640 × 480 JPEG → 336 × 336", "images/s (median)", "least to most", "of bare", "CPU ms/image, main process")
    base = report["images_per_second"]["bare decode and resize"]
    for name, found in report["images_per_second"].items():
        low, high = report["range"][name]
        cpu = f"{report['cpu_ms_per_image'][name]:.1f}"
        table.add_row(name, f"{found:.0f}", f"{low:.0f} to {high:.0f}", f"{found / base:.0%}", cpu)
    Console().print(table)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--checkpoint", type=Path, help="a LLaVA folder whose processor is used")
    parser.add_argument("--images", type=int, default=256)
    parser.add_argument("--seconds", type=float, default=10, help="of measuring, for each way")
    parser.add_argument("--out", type=Path, help="a JSON file for the figures")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        os.environ["JAX_MDPO_CACHE"] = str(Path(folder) / "cache")
        report = measure(Path(folder), given.images, given.seconds, given.checkpoint)
    show(report)
    if given.out is not None:
        given.out.write_text(json.dumps(report, indent=2) + "\n")


if __name__ == "__main__":
    main()
