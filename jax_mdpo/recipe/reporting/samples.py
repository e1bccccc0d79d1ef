"""Items that labels answered differently, side by side."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from PIL import Image

from jax_mdpo.core.errors import RecordError
from jax_mdpo.core.seeds import generator
from jax_mdpo.data.images import open_image
from jax_mdpo.data.paths import ImageRoot
from jax_mdpo.evaluation.benchmarks.mmhal import HALLUCINATION_FREE
from jax_mdpo.evaluation.benchmarks.protocol import Item, Reading
from jax_mdpo.evaluation.bootstrap import Answered, Key
from jax_mdpo.recipe.reporting.benchmarks import by_benchmark, reference_of
from jax_mdpo.recipe.reporting.likeness import unlike
from jax_mdpo.recipe.reporting.sources import Evaluation
from jax_mdpo.recipe.reporting.subjects import Compared
from jax_mdpo.report.comparison import Sample, SampleAnswer, Samples

SIDE = 320  # pixels of an image's longer side
MAX_PIXELS = 100_000_000
NO_FOLDER = "No images: name their folder with --images."


def chosen_samples(subjects: Sequence[Compared], baseline: int, images: Path | None, count: int, seed: int) -> Samples:
    """About `count` items of all benchmarks together, those first on which the labels differ most; ties fall by `seed`.

    Where labels have repetitions, the answers are those of the first.
    """
    root = None if images is None else ImageRoot(images)
    fields = {name: _comparable(of, baseline) for name, of in by_benchmark(subjects).items()}
    differing = {name: keys for name, of in fields.items() if (keys := _differing(of, seed))}
    samples, chosen, missing = [], [], 0
    for place, (name, found) in enumerate(differing.items()):
        answered = fields[name]
        keys = _spread(found, answered, count // len(differing) + (place < count % len(differing)))
        chosen.append(f"{name}: {len(keys)} of {len(found):,} items that were answered better by some than by others")
        for key in keys:
            items = {subject: items[key] for subject, items in answered.items() if key in items}
            image = _image(next(iter(items.values())), root)
            missing += image is None
            samples.append(_sample(name, key, items, image))
    note = NO_FOLDER if root is None else f"{missing} images are not in {root.folder.name}." if missing else ""
    return Samples(tuple(samples), tuple(chosen), note if samples else "")


def _comparable(evaluations: Mapping[int, Sequence[Evaluation]], baseline: int) -> dict[int, Answered]:
    """The items of those that were read by the same rules as the baseline, or as the first."""
    against = evaluations[reference_of(evaluations, baseline)][:1]
    return {place: several[0].items or {} for place, several in evaluations.items() if not unlike(against, several[:1])}


def _differing(answered: Mapping[int, Answered], seed: int) -> list[Key]:
    """The items whose worst and best answers differ, the largest difference first."""
    spans: dict[Key, float] = {}
    for key in dict.fromkeys(key for items in answered.values() for key in items):
        faults = [fault for items in answered.values() if key in items and (fault := _fault(items[key].reading)) is not None]
        if len(faults) > 1 and (span := max(faults) - min(faults)):
            spans[key] = span
    keys = list(spans)
    shuffled = [keys[place] for place in generator(seed, "samples").permutation(len(keys))]
    return sorted(shuffled, key=lambda key: -spans[key])


def _fault(reading: Reading) -> float | None:
    """How bad an answer is: hallucinated words, wrong or right, or a judge's rating; None where it says nothing of that."""
    if "rating" in reading:
        return -float(reading["rating"])
    if "hallucinated" in reading:
        return float(len(reading["hallucinated"]))
    return float(not reading["correct"]) if isinstance(reading.get("correct"), bool) else None


def _spread(keys: Sequence[Key], answered: Mapping[int, Answered], count: int) -> list[Key]:
    """The first `count`, of different images as far as there are some."""
    seen: set[object] = set()
    first: list[Key] = []
    rest: list[Key] = []
    for key in keys:
        image = next(items[key].question.image for items in answered.values() if key in items) or key
        (rest if image in seen else first).append(key)
        seen.add(image)
    return [*first, *rest][:count]


def _sample(benchmark: str, key: Key, items: Mapping[int, Item], image: Image.Image | None) -> Sample:
    part, id = key
    question = next(iter(items.values())).question.text
    name = f"{benchmark} {id}" if part.replace("_", "-") in benchmark else f"{benchmark} {part} {id}"
    return Sample(name, question, image, tuple(_answer(subject, item) for subject, item in items.items()))


def _answer(subject: int, item: Item) -> SampleAnswer:
    reading = item.reading
    if "rating" in reading:
        good = reading["rating"] >= HALLUCINATION_FREE
        return SampleAnswer(subject, item.answer, f"rated {reading['rating']}: {'no hallucination' if good else 'hallucination'}", good)
    if "hallucinated" in reading:
        words = [one if isinstance(one, str) else one[0] for one in reading["hallucinated"]]
        verdict = f"{len(words)} hallucinated: {', '.join(words)}" if words else "nothing hallucinated"
        return SampleAnswer(subject, item.answer, verdict, not words, tuple(words))
    if isinstance(reading.get("correct"), bool):
        truth = f", the truth is {reading['truth']}" if "truth" in reading and not reading["correct"] else ""
        return SampleAnswer(subject, item.answer, f"{'right' if reading['correct'] else 'wrong'}{truth}", reading["correct"])
    return SampleAnswer(subject, item.answer, "", None)


def _image(item: Item, root: ImageRoot | None) -> Image.Image | None:
    name = item.question.image
    if root is None or not isinstance(name, str):
        return None
    try:
        image = open_image(root.find(name, f"item {item.question.id}"), max_pixels=MAX_PIXELS, name=f"item {item.question.id}")
    except RecordError:
        return None
    image.thumbnail((SIDE, SIDE))
    return image
