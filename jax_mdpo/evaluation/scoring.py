"""Log-probabilities of a data set's answers, under the policy and, with an adapter, under the reference."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import jax
import numpy as np

from jax_mdpo.core.batch import Batch
from jax_mdpo.core.views import CHOSEN, CLEAN, NEGATIVE, REJECTED, Model, Need, View
from jax_mdpo.data.dataset import PairDataset
from jax_mdpo.data.hard_negatives import RejectedImage
from jax_mdpo.data.variants import Variants
from jax_mdpo.models.actors import Actors, Frozen
from jax_mdpo.models.checkpoint import Checkpoint
from jax_mdpo.models.plan import plan
from jax_mdpo.models.views import Evaluated, evaluate
from jax_mdpo.sharding.placing import placing

PREFIX: dict[Model, str] = {"policy": "", "reference": "ref_"}
NAMES = {View(CLEAN, CHOSEN): "chosen", View(CLEAN, REJECTED): "rejected", View(NEGATIVE, CHOSEN): "negative"}


@dataclass(frozen=True)
class Scorer:
    """What is evaluated and how. models: policy alone, or policy and reference. beta: of the rewards. rows: pairs a batch."""

    checkpoint: Checkpoint
    actors: Actors
    frozen: Frozen
    lora: dict
    models: tuple[Model, ...]
    beta: float
    rows: int
    chunk: int = 32

    def scores(self, data: PairDataset, *, per_token: bool) -> Iterator[tuple[int, dict[str, Any]]]:
        """(place in the data set, its scores); batch by batch, records with a rejected image of their own after the others.

        A record stands alone in its row, so that its scores are read off the row.
        """
        own = [place for place, record in enumerate(data.records) if record.rejected_image is not None]
        others = [place for place, record in enumerate(data.records) if record.rejected_image is None]
        clean = {View(CLEAN, CHOSEN), View(CLEAN, REJECTED)}
        yield from self._group(data, others, clean, per_token)
        yield from self._group(data, own, {*clean, View(NEGATIVE, CHOSEN)}, per_token)

    def _group(self, data: PairDataset, places: list[int], views: set[View], per_token: bool) -> Iterator[tuple[int, dict[str, Any]]]:
        if not places:
            return
        compiled = self._compiled(views)
        plans = data.ordered_batches(batch_size=self.rows, records=places)
        images = tuple(sorted({view.image for view in views}))
        variants = Variants(images, {NEGATIVE: RejectedImage()} if NEGATIVE in images else {})
        put = placing(self.checkpoint.mesh, self.rows)
        for batch_plan, host in zip(plans, data.batches(plans, variants=variants), strict=True):
            with self.checkpoint.scope():
                evaluated = jax.device_get(compiled(self.frozen, self.lora, put(host.batch)))
            for row, place in enumerate(batch_plan.records):
                if host.batch.valid[row, 0]:
                    yield place, self._scores(evaluated, host.batch, row, data.records[place].id, per_token)

    def _compiled(self, views: set[View]) -> Callable[[Frozen, dict, Batch], Evaluated]:
        run = plan(Need(model, view, gradient=False) for model in self.models for view in views)

        def forward(frozen: Frozen, lora: dict, batch: Batch) -> Evaluated:
            return evaluate(run, batch, self.actors.select(frozen, lora), shared_tower=self.actors.shared_tower, chunk=self.chunk)

        return self.actors.compiled(forward)

    def _scores(self, evaluated: Evaluated, batch: Batch, row: int, name: str | int, per_token: bool) -> dict[str, Any]:
        scores: dict[str, Any] = {"id": name}
        for (model, view), tokens in sorted(evaluated.items()):
            label, scored = NAMES[view], np.asarray(tokens.scored[row])
            logps = np.asarray(tokens.logps[row])[scored]
            scores[f"{PREFIX[model]}{label}_logp"] = float(np.sum(logps, dtype=np.float64))
            if view.image == CLEAN and model == "policy":
                scores[f"{label}_tokens"] = int(scored.sum())
            if per_token:
                scores[f"{PREFIX[model]}{label}_token_logps"] = logps.tolist()
                if view.image == CLEAN and model == "policy":
                    scores[f"{label}_ids"] = batch.branches[view.response].targets[row][scored].tolist()
        if "reference" in self.models:
            for label in sorted({NAMES[view] for _, view in evaluated}):
                scores[f"{label}_reward"] = self.beta * (scores[f"{label}_logp"] - scores[f"ref_{label}_logp"])
        return scores
