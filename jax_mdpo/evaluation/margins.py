"""Log-probs of held-out pairs' answers given their own image, a blank one and another record's: what the benchmark `pairs` is made of."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache

import jax
import numpy as np

from jax_mdpo.core.batch import Batch
from jax_mdpo.core.views import BLANK, CHOSEN, CLEAN, OTHER, REJECTED, Model, Need, View
from jax_mdpo.data.dataset import PairDataset
from jax_mdpo.data.hard_negatives import Black, OtherImage
from jax_mdpo.data.packing import PADDING
from jax_mdpo.data.variants import Variants
from jax_mdpo.evaluation.benchmarks.pairs import TRUE, Judged
from jax_mdpo.evaluation.reliance import IMAGES, seen_as
from jax_mdpo.models.actors import Actors, Frozen
from jax_mdpo.models.checkpoint import Checkpoint
from jax_mdpo.models.plan import plan
from jax_mdpo.models.views import Evaluated, evaluate
from jax_mdpo.sharding.placing import placing

ANSWERS = (CHOSEN, REJECTED)
KEPT = 8  # models whose program stays compiled
CHUNK = 32  # response positions whose logits exist at a time
PROBED = Variants((CLEAN, BLANK, OTHER), {BLANK: Black(), OTHER: OtherImage()})
PLAIN = Variants()


@dataclass(frozen=True)
class Margins:
    """What is evaluated and how.

    models: policy alone, or policy and reference. rows: pairs a batch. probing: with a blank and another record's image, too.
    """

    checkpoint: Checkpoint
    actors: Actors
    frozen: Frozen
    lora: dict
    models: tuple[Model, ...]
    rows: int
    probing: bool = True

    def judged(self, data: PairDataset) -> Iterator[tuple[int, dict[str, Judged]]]:
        """(place in the data set, what the models make of the pair given each image, by its name), batch by batch.

        A pair without an image has the entry of the true one alone, and so has every pair where all share one image.
        """
        probed = self.probing and len({record.image for record in data.records} - {None}) > 1
        plans = data.ordered_batches(batch_size=self.rows, records=range(len(data)))
        names = tuple(IMAGES) if probed else (TRUE,)
        put = placing(self.checkpoint.mesh, self.rows)
        compiled = judging(self.actors, self.models)
        for batch_plan, host in zip(plans, data.batches(plans, variants=PROBED if probed else PLAIN), strict=True):
            with self.checkpoint.scope():
                batch = put(host.batch)
                found = jax.device_get({name: compiled(self.frozen, self.lora, seen_as(batch, IMAGES[name])) for name in names})
            for row, place in enumerate(batch_plan.records):
                if place == PADDING or not host.batch.valid[row, 0]:
                    continue
                seen = names if data.records[place].image is not None else (TRUE,)
                yield place, {name: _judged(found[name], row) for name in seen}


@lru_cache(KEPT)
def judging(actors: Actors, models: tuple[Model, ...]) -> Callable[[Frozen, dict, Batch], Evaluated]:
    """The compiled (frozen, lora, batch) → log-probs of both answers under these models; the same for equal models."""
    run = plan(Need(model, View(CLEAN, answer), gradient=False) for model in models for answer in ANSWERS)

    def forward(frozen: Frozen, lora: dict, batch: Batch) -> Evaluated:
        return evaluate(run, batch, actors.select(frozen, lora), shared_tower=actors.shared_tower, chunk=CHUNK)

    return actors.compiled(forward)


def _judged(evaluated: Evaluated, row: int) -> Judged:
    def sums(model: Model) -> tuple[float, float]:
        found = [evaluated[model, View(CLEAN, answer)] for answer in ANSWERS]
        chosen, rejected = (float(np.sum(np.asarray(one.logps[row])[one.scored[row]], dtype=np.float64)) for one in found)
        return chosen, rejected

    adapted = any(model == "reference" for model, _ in evaluated)
    tokens = tuple(int(np.sum(evaluated["policy", View(CLEAN, answer)].scored[row])) for answer in ANSWERS)
    return Judged(sums("policy"), sums("reference") if adapted else None, (tokens[0], tokens[1]))
