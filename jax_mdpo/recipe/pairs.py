"""Held-out preference pairs, judged by a model with and without their image."""

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from jax_mdpo.core.records import Record, Turns
from jax_mdpo.data.settings import DataSettings
from jax_mdpo.evaluation.benchmarking import Scored
from jax_mdpo.evaluation.benchmarks.pairs import PART, Judged, Pairs
from jax_mdpo.evaluation.benchmarks.protocol import Item, Question
from jax_mdpo.evaluation.margins import Margins
from jax_mdpo.models.checkpoint import Checkpoint
from jax_mdpo.recipe.evaluating import existing, keep, refuse_others
from jax_mdpo.recipe.opening import opened
from jax_mdpo.recipe.origin import origin_of
from jax_mdpo.recipe.settings import Dtype
from jax_mdpo.sharding.placing import batch_ways
from jax_mdpo.training.progress import Progress
from jax_mdpo.weights.quantising import Quantization


def evaluate_pairs(
    model: str | Path,
    data: str | Path,
    out: str | Path,
    *,
    adapter: str | Path | None = None,
    images: str | Path | None = None,
    dtype: Dtype | None = None,
    quantization: Quantization | None = None,
    batch: int = 8,
    probing: bool = True,
) -> dict[str, Any]:
    """How often a model prefers the chosen answer, with the pair's image and without. Returns what metrics.json in `out` holds.

    model, data and the others: as for `judge_pairs`. What `out` holds already, of the same weights and pairs, is not
    computed again; RunError where it holds other figures.
    """
    made_by = origin_of(model, None, adapter=adapter, dtype=dtype, quantization=quantization)
    told = {"benchmark": "pairs", "pairs": {Path(data).name: _digest(existing(data))}, "probing": probing, "made_by": made_by}
    if (held := refuse_others(Path(out), told)) is not None:
        return held
    items = tuple(
        judge_pairs(model, data, adapter=adapter, images=images, dtype=dtype, quantization=quantization, batch=batch, probing=probing)
    )
    return keep(Path(out), Pairs(), Scored(items, Pairs().report(items), {}), told)


def judge_pairs(
    model: Checkpoint | str | Path,
    data: DataSettings | str | Path,
    *,
    adapter: str | Path | None = None,
    images: str | Path | None = None,
    dtype: Dtype | None = None,
    quantization: Quantization | None = None,
    batch: int = 8,
    probing: bool = True,
) -> list[Item]:
    """The pairs in the file's order, each with the log-probs of its answers as reading; see evaluation/benchmarks/pairs.py.

    model: a loaded checkpoint, a folder or a hub id. adapter: a PEFT folder: the policy, whose reference is the model without it.
    batch: pairs at a time on all devices. probing: with a blank and another record's image, too.
    """
    known = opened(model, data, adapter=adapter, images=images, dtype=dtype, quantization=quantization)
    ways = batch_ways(known.checkpoint.mesh)
    margins = Margins(known.checkpoint, known.actors, known.frozen, known.lora, known.models, -(-batch // ways) * ways, probing)
    found: dict[int, dict[str, Judged]] = {}
    with Progress(len(known.pairs), passing=True, label="judging pairs") as progress:
        for place, judged in margins.judged(known.pairs):
            found[place] = judged
            progress.update(len(found))
    return [_item(known.pairs.records[place], found[place]) for place in sorted(found)]


def _digest(data: Path) -> str:
    """Of a file of pairs, or of all files of a folder."""
    found = hashlib.sha256()
    for file in [data] if data.is_file() else sorted(path for path in data.rglob("*") if path.is_file()):
        found.update(f"{file.relative_to(data.parent)}\n".encode() + hashlib.sha256(file.read_bytes()).digest())
    return found.hexdigest()


def _item(record: Record, judged: Mapping[str, Judged]) -> Item:
    image = str(record.image) if isinstance(record.image, Path) else b""
    reading: dict[str, Any] = {name: _plain(one) for name, one in judged.items()}
    question = Question(record.id, _text(record.prompt), image, PART)
    return Item(question, _text(record.chosen), {"rejected": _text(record.rejected), **reading})


def _plain(judged: Judged) -> dict[str, Any]:
    return {name: list(value) for name, value in judged._asdict().items() if value is not None}


def _text(text: str | Turns) -> str:
    if isinstance(text, str):
        return text
    return "\n".join(part.text for message in text for part in message.content if part != "image")
