"""Images per second and worker of the data pipeline next to Pillow's own, and how long a training step waits for it.

    python -m benchmarks.image_pipeline [--checkpoint DIR] [--images 256] [--seconds 20] [--workers 1 2 …] [--out FILE] [--keep]

Writes JPEG files of 640 × 480 pixels (noise that is smoothed, so that they compress like photographs) and measures by turns:

- Pillow, both pictures: what the pipeline makes of an image, by Pillow's calls alone: decoded, the shorter side resized to 336, the
  centre cut out, a crop of that resized to 336 × 336, both as uint8 arrays. This is what the pipeline is held against, since it is
  the same work; a loop that makes one picture of each image does about a fifth less.
- Pillow, one picture: decoded and resized.
- the pipeline (open, frame to 336 × 336, crop hard negative, lay out the tokens, collate) with each number of --workers. Its share is
  of that many loops of Pillow, so more workers than free cores mean nothing. An image counts once, though two pictures are made of it.

Shares are taken round by round, because a machine is not equally fast all the time. Processor time, of all threads, does not mind a
busy machine as much as the clock does.

Then a step that takes ten times as long as one worker needs for a batch (about LLaVA-1.5-7B on one H100 at half its peak) takes its
batches as training does, and the time that it waits for them is added up.

Without --checkpoint, a processor with LLaVA-1.5's geometry and a small tokenizer is made on the spot; the tokens are encoded before the
clock starts, as in training.
"""

import argparse
import json
import os
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from itertools import cycle, islice
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from PIL import Image, ImageFilter
from rich.console import Console
from rich.table import Table
from tokenizers import AddedToken, Tokenizer, models, pre_tokenizers, trainers

from benchmarks.harness.command import output, scratch
from benchmarks.harness.machine import warn_if_busy
from benchmarks.harness.report import write
from jax_mdpo.core.batch import HostBatch
from jax_mdpo.data.cache import VARIABLE
from jax_mdpo.data.dataset import PairDataset
from jax_mdpo.data.hard_negatives import Crop
from jax_mdpo.data.settings import DataSettings
from jax_mdpo.data.variants import Variants
from jax_mdpo.models.families.llava.framing import Framing
from jax_mdpo.models.families.llava.processor import LlavaProcessor
from jax_mdpo.training.prefetch import prefetched

SIZE, SIDE, BATCH = (640, 480), 336, 16
BOTH, ONE = "Pillow, both pictures", "Pillow, one picture"
WARM_UP = 6  # elements that are not counted: what was read ahead while nobody waited, too
ROUNDS = 5  # each way is measured by turns, so that a busy moment of the machine falls on all of them
STEPS, SLOWER = 12, 10  # steps that are counted; how much longer than a batch's reading one takes


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


class Rate(NamedTuple):
    """per_second: images by the clock. cpu_ms: processor time for one, of all threads."""

    per_second: float
    cpu_ms: float


def both_pictures(paths: Sequence[Path]) -> Iterator[int]:
    """Pillow alone, as the pipeline's pictures are made; the crops' boxes are drawn before."""
    rng = np.random.default_rng(0)
    boxes = [Crop().box(SIDE, SIDE, rng) for _ in paths]
    left, top = ((length - SIDE) // 2 for length in _shorter_side_to(SIDE))
    for path, box in cycle(zip(paths, boxes, strict=True)):
        with Image.open(path) as image:
            resized = image.resize(_shorter_side_to(SIDE), Image.Resampling.BICUBIC)
        clean = resized.crop((left, top, left + SIDE, top + SIDE))
        np.asarray(clean)
        np.asarray(clean.crop(box).resize(clean.size, Image.Resampling.BICUBIC))
        yield 1


def one_picture(paths: Sequence[Path]) -> Iterator[int]:
    """Pillow alone: decoded and resized."""
    for path in cycle(paths):
        with Image.open(path) as image:
            np.asarray(image.resize(_shorter_side_to(SIDE), Image.Resampling.BICUBIC))
        yield 1


def _shorter_side_to(side: int) -> tuple[int, int]:
    width, height = (round(length * side / min(SIZE)) for length in SIZE)
    return width, height


def batches(path: Path, processor: LlavaProcessor, workers: int) -> Iterator[HostBatch]:
    """The pipeline as training uses it."""
    data = PairDataset.open(DataSettings(path=str(path), workers=workers), processor)
    plans = [plan for epoch in range(100) for plan in data.epoch_batches(batch_size=BATCH, seed=0, epoch=epoch)]
    return data.batches(plans, variants=Variants(("clean", "negative"), {"negative": Crop()}))


def counted(source: Iterator[HostBatch]) -> Iterator[int]:
    """Images of each batch."""
    with closing(source):  # type: ignore[type-var]
        for batch in source:
            yield int(batch.batch.valid.sum())


def rate(counts: Iterator[int], seconds: float) -> Rate:
    """The rate after the first few elements, which pay for the start."""
    with closing(counts):  # type: ignore[type-var]
        sum(islice(counts, WARM_UP))
        done, begin, cpu = 0, time.perf_counter(), time.process_time()
        while time.perf_counter() - begin < seconds:
            done += next(counts)
        passed, spent = time.perf_counter() - begin, time.process_time() - cpu
    return Rate(done / passed, 1000 * spent / done)


def measure_rates(path: Path, processor: LlavaProcessor, workers: Sequence[int], seconds: float) -> dict[str, list[Rate]]:
    """By way, one of each round."""
    paths = sorted(path.parent.glob("*.jpg"))
    ways: dict[str, Callable[[], Iterator[int]]] = {BOTH: lambda: both_pictures(paths), ONE: lambda: one_picture(paths)}
    ways |= {_pipeline(number): lambda number=number: counted(batches(path, processor, number)) for number in workers}  # type: ignore[misc]
    rounds = [{name: rate(make(), seconds / ROUNDS) for name, make in ways.items()} for _ in range(ROUNDS)]
    return {name: [turn[name] for turn in rounds] for name in ways}


def measure_waiting(source: Iterator[HostBatch], step_seconds: float) -> float:
    """Seconds that STEPS steps wait for their batches in all, after the warm-up; as training measures them (data_wait_seconds)."""
    waited = 0.0
    with closing(prefetched(source, lambda batch: batch)) as feed:
        for step in range(WARM_UP + STEPS):
            began = time.perf_counter()
            next(feed)
            waited += (time.perf_counter() - began) * (step >= WARM_UP)
            time.sleep(step_seconds)
    return waited


def rows(rates: dict[str, list[Rate]], workers: Sequence[int]) -> list[dict[str, Any]]:
    """A row a way. Shares are of Pillow's rate in the same round, times the workers."""
    many = {_pipeline(number): number for number in workers}
    made = []
    for name, found in rates.items():
        per_second = [turn.per_second for turn in found]
        row: dict[str, Any] = {"way": name, "images_per_second": statistics.median(per_second), "range": [min(per_second), max(per_second)]}
        row["cpu_ms_per_image"] = statistics.median(turn.cpu_ms for turn in found)
        for base in (BOTH, ONE):
            turns = list(zip(found, rates[base], strict=True))
            row[f"of {base}"] = statistics.median(ours.per_second / theirs.per_second / many.get(name, 1) for ours, theirs in turns)
            row[f"of {base}, processor time"] = statistics.median(theirs.cpu_ms / ours.cpu_ms for ours, theirs in turns)
        made.append(row)
    return made


def _pipeline(workers: int) -> str:
    return f"pipeline, {workers} worker{'s' * (workers > 1)}"


def show(made: Sequence[dict[str, Any]], waiting: dict[str, float]) -> None:
    shown = Table(title="640 × 480 JPEG → 336 × 336 (shares by the clock / by processor time)", box=None, title_justify="left")
    for heading in ("way", "images/s", "range", "CPU ms/image", "of both pictures", "of one picture"):
        shown.add_column(heading, justify="left" if heading == "way" else "right")
    for row in made:
        shares = [f"{row[f'of {base}']:.0%} / {row[f'of {base}, processor time']:.0%}" for base in (BOTH, ONE)]
        low, high = row["range"]
        shown.add_row(row["way"], f"{row['images_per_second']:.0f}", f"{low:.0f} – {high:.0f}", f"{row['cpu_ms_per_image']:.2f}", *shares)
    Console(width=max(Console().width, 110)).print(shown)
    print(f"{STEPS} steps of {waiting['step_seconds']:.2f} s waited {1000 * waiting['waited_seconds']:.2f} ms in all")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--checkpoint", type=Path, help="a LLaVA folder whose processor is used")
    parser.add_argument("--images", type=int, default=256)
    parser.add_argument("--seconds", type=float, default=20, help="of measuring, for each way")
    parser.add_argument("--workers", type=int, nargs="+", default=[1])
    output(parser)
    given = parser.parse_args()
    warn_if_busy()
    processor = made_processor() if given.checkpoint is None else LlavaProcessor.load(given.checkpoint)
    with scratch(None) as folder:
        os.environ[VARIABLE] = str(folder / "cache")
        path = write_pairs(folder, given.images)
        rates = measure_rates(path, processor, given.workers, given.seconds)
        made = rows(rates, given.workers)
        step_seconds = SLOWER * BATCH * given.workers[0] / next(row for row in made if "pipeline" in row["way"])["images_per_second"]
        waited = measure_waiting(batches(path, processor, given.workers[0]), step_seconds)
        waiting = {"workers": given.workers[0], "steps": STEPS, "step_seconds": step_seconds, "waited_seconds": waited}
        mean_bytes = statistics.mean(image.stat().st_size for image in folder.glob("*.jpg"))
    show(made, waiting)
    image = {"format": "JPEG", "width": SIZE[0], "height": SIZE[1], "mean_bytes": mean_bytes}
    write("image_pipeline", "cpu", {"image": image, "batch": BATCH, "rows": made, "waiting": waiting}, out=given.out, keep=given.keep)


if __name__ == "__main__":
    main()
