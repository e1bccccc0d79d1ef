"""Score a data set's answers with a model, with or without an adapter."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from jax_mdpo.core.files import write_text
from jax_mdpo.data.settings import DataSettings
from jax_mdpo.evaluation.scoring import Scorer
from jax_mdpo.models.checkpoint import Checkpoint
from jax_mdpo.recipe.opening import opened
from jax_mdpo.recipe.settings import Dtype
from jax_mdpo.training.progress import Progress
from jax_mdpo.weights.quantising import Quantization


def score(
    model: Checkpoint | str | Path,
    data: DataSettings | str | Path,
    *,
    adapter: str | Path | None = None,
    images: str | Path | None = None,
    dtype: Dtype | None = None,
    quantization: Quantization | None = None,
    per_token: bool = False,
    out: str | Path | None = None,
    beta: float = 0.1,
    batch: int = 8,
) -> list[dict[str, Any]]:
    """Summed log-probs, in nats, of each record's answers given its image; one object a record, in the file's order.

    model: a loaded checkpoint, a folder or a hub id. data: settings, or the path of the pairs. adapter: a PEFT folder; then the
    base's own log-probs (ref_…) and the rewards β · (log π − log π_ref) stand beside. out: written as JSON lines, whole or not at all.
    dtype, quantization: as in a run's model settings. per_token: the scored token ids and their log-probs too. batch: pairs at a
    time on all devices.
    """
    known = opened(model, data, adapter=adapter, images=images, dtype=dtype, quantization=quantization)
    scorer = Scorer(known.checkpoint, known.actors, known.frozen, known.lora, known.models, beta, batch)
    found: dict[int, dict[str, Any]] = {}
    with Progress(len(known.pairs), passing=True, label="scoring") as progress:
        for place, scores in scorer.scores(known.pairs, per_token=per_token):
            found[place] = scores
            progress.update(len(found))
    ordered = [found[place] for place in sorted(found)]
    if out is not None:
        write_text(Path(out), _lines(ordered))
    return ordered


def _lines(objects: Sequence[dict[str, Any]]) -> str:
    return "".join(json.dumps(scores, ensure_ascii=False) + "\n" for scores in objects)
