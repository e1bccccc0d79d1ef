"""What the caches of a run have in common: computed once, by process 0's leave, from what their manifest names."""

import hashlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Protocol, TypeVar

import jax
import numpy as np
from flax import nnx

from jax_mdpo.core.batch import Batch, HostBatch
from jax_mdpo.core.views import NEGATIVE, NOISED
from jax_mdpo.data.batches import BatchPlan
from jax_mdpo.data.dataset import PairDataset
from jax_mdpo.data.hard_negatives import fingerprint
from jax_mdpo.data.manifest import Manifest, begin, is_complete
from jax_mdpo.data.packing import PADDING
from jax_mdpo.models.checkpoint import Checkpoint
from jax_mdpo.recipe.settings import RunSettings
from jax_mdpo.sharding.placing import placing
from jax_mdpo.training.locking import locked
from jax_mdpo.training.processes import decided_by_main, gathered, is_main, whole
from jax_mdpo.training.progress import Progress
from jax_mdpo.weights.fingerprint import weights_digest

LINES = 20  # of progress, where the output is no terminal

Values = TypeVar("Values")
Values_contra = TypeVar("Values_contra", contravariant=True)
Found = dict[int, Values | None]  # by place in the data set; None for bad records


class Unfinished(Protocol[Values_contra]):
    """A cache while it is computed: a context whose end, however it comes, saves what was added."""

    def __enter__(self) -> "Unfinished[Values_contra]": ...

    def __exit__(self, *_: object) -> None: ...

    @property
    def places(self) -> list[int]: ...

    def add(self, place: int, values: Values_contra | None, /) -> None: ...

    def finish(self) -> None: ...


def completed(folder: Path, wanted: Manifest, compute: Callable[[], None]) -> None:
    """Sees to it that the folder holds what is wanted. All processes must call it, and take part in `compute` where that is needed.

    Raises UserError where the folder holds a cache that was made from something else, or another run is computing it.
    """
    if decided_by_main(lambda: is_complete(folder, wanted)):
        return
    with locked(folder / ".lock", main=is_main()) as lock:
        if not decided_by_main(lambda: begin(folder, wanted, busy=lock.refusal is not None)):
            compute()
    decided_by_main(lambda: 0)  # nobody reads before process 0 has written


def compute(
    start: Callable[[], Unfinished[Values]],
    data: PairDataset,
    evaluated: Callable[[list[BatchPlan]], Iterator[Found[Values]]],
    *,
    pairs: int,
    what: str,
    label: str,
) -> None:
    """Fills a cache. Process 0 knows what is there already, and writes; the others take part in the forward passes.

    start: begins or goes on with the cache. evaluated: from planned batches of `pairs` records, batch by batch, every record's values.
    """
    with ExitStack() as stack:
        unfinished = stack.enter_context(start()) if is_main() else None
        known = np.zeros(len(data), bool)
        known[gathered(unfinished.places if unfinished else [])] = True
        plans = [one for one in data.ordered_batches(batch_size=pairs) if not known[one.present].all()]
        shown = Progress(len(plans), every=max(1, len(plans) // LINES), shown=is_main(), label=label, unit="batch")
        progress = stack.enter_context(shown)
        progress.note(f"{what} of {np.sum(~known)} records are computed")
        for number, found in enumerate(evaluated(plans), start=1):
            for place, values in found.items():
                if unfinished is not None and not known[place]:
                    unfinished.add(place, values)
            progress.update(number)
        if unfinished is not None:
            unfinished.finish()


def by_record(
    checkpoint: Checkpoint,
    rows: int,
    plans: Iterable[BatchPlan],
    hosts: Iterable[HostBatch],
    forward: Callable[[Batch], Any],
    pick: Callable[[Any, int, int], Values],
) -> Iterator[Found[Values]]:
    """Batch by batch, what `pick` takes for each record from what `forward` gives of its batch.

    rows: of a batch, over all devices. pick: (whole result on the host, number of the pair in the batch, place of the record) → values.
    """
    put = placing(checkpoint.mesh, rows)
    for plan, host in zip(plans, hosts, strict=True):
        with checkpoint.scope():
            batch = put(host.batch)
            found, valid = whole((forward(batch), batch.valid))
        good = valid.ravel()
        places = [(at, place) for at, place in enumerate(plan.records) if place != PADDING]
        yield {place: pick(found, at, place) if good[at] else None for at, place in places}


def made_from(checkpoint: Checkpoint, data: PairDataset, settings: RunSettings, *, images: set[str]) -> dict[str, str]:
    """What values of these records under this base depend on. images: the variants that are looked at."""
    found = {
        "base weights (model.path, model.revision)": weights_digest(checkpoint.folder),
        "base in memory (model.dtype, model.quantization)": _in_memory(checkpoint.base),
        "tokenizer, chat template and image geometry": checkpoint.processor.fingerprint(),
        "records (ids, texts, image files)": data.fingerprint(),
    }
    if NEGATIVE in images:
        found["hard negatives (hard_negative, seed)"] = f"{fingerprint(settings.hard_negative)}, seed {settings.seed}"
    if NOISED in images:
        found["noised images (noise, seed)"] = f"{settings.noise}, seed {settings.seed}"
    return found


def _in_memory(base: nnx.State) -> str:
    """The dtypes of the weights, and a digest of them with their shapes: quantised weights differ in both."""
    facts = sorted((jax.tree_util.keystr(path), str(leaf.dtype), leaf.shape) for path, leaf in jax.tree.leaves_with_path(base))
    return f"{'+'.join(sorted({dtype for _, dtype, _ in facts}))} {hashlib.sha256(repr(facts).encode()).hexdigest()[:12]}"
