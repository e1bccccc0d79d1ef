"""What the caches of a run have in common: computed once, by process 0's leave, from what their manifest names."""

import hashlib
from collections.abc import Callable
from pathlib import Path

import jax
from flax import nnx

from jax_mdpo.core.views import NEGATIVE, NOISED
from jax_mdpo.data.dataset import PairDataset
from jax_mdpo.data.hard_negatives import fingerprint
from jax_mdpo.data.manifest import Manifest, begin, is_complete
from jax_mdpo.models.checkpoint import Checkpoint
from jax_mdpo.recipe.settings import RunSettings
from jax_mdpo.training.locking import locked
from jax_mdpo.training.processes import decided_by_main, is_main
from jax_mdpo.weights.fingerprint import weights_digest

LINES = 20  # of progress, where the output is no terminal


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
