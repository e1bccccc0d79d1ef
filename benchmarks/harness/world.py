"""A folder that every program of a comparison reads: model/, adapter/, images/, pairs.json, and tensors.npz for programs of torch.


Every row has the same number of tokens. tensors.npz holds what jax_mdpo's own pipeline makes of the pairs in its first epoch: framed
images, true and negative, and token ids, so that both sides compute the same loss.
"""

import dataclasses
import json
import os
import subprocess
import sys
from pathlib import Path

from benchmarks.harness.sizes import Size

MODEL, ADAPTER, IMAGES, PAIRS, TENSORS, FACTS = "model", "adapter", "images", "pairs.json", "tensors.npz", "world.json"


def prepare_world(folder: Path, size: Size, dtype: str, pairs: int) -> None:
    """Makes the folder, in a process of its own: what it takes of a GPU is given back. A folder that holds the same world is kept."""
    wanted = {**dataclasses.asdict(size), "dtype": dtype, "pairs": pairs}
    facts = folder / FACTS
    if facts.is_file() and json.loads(facts.read_text()) == json.loads(json.dumps(wanted)):
        return
    if folder.exists() and any(folder.iterdir()):
        sys.exit(f"{folder} holds something else: remove it, or give another --scratch")
    command = [sys.executable, "-m", "benchmarks.harness.world", str(folder), json.dumps(wanted)]
    subprocess.run(command, check=True, env={**os.environ, "JAX_MDPO_CACHE": str(folder / "cache")})
    facts.write_text(json.dumps(wanted) + "\n")


def write_world(folder: Path, size: Size, dtype: str, pairs: int) -> None:
    """Writes all of it."""
    from benchmarks.harness.checkpoint import write_lora, write_model
    from benchmarks.harness.pairs import write_pairs, write_tensors

    write_model(folder / MODEL, size, dtype)
    write_lora(folder / ADAPTER, size, base_model=folder / MODEL)
    write_pairs(folder / PAIRS, folder / IMAGES, size, pairs)
    write_tensors(folder / TENSORS, folder / MODEL, folder / PAIRS, folder / IMAGES, size)


if __name__ == "__main__":
    target, wanted = Path(sys.argv[1]), json.loads(sys.argv[2])
    made = {"dtype": wanted.pop("dtype"), "pairs": wanted.pop("pairs")}
    write_world(target, Size(**wanted), **made)
