"""jax_mdpo on the benchmark's data: prints the seconds of every step as one JSON line."""

import argparse
import itertools
import json
import time
from pathlib import Path

import jax

from jax_mdpo.recipe.configuration import settings_of
from jax_mdpo.recipe.training import prepare

DPO = {"name": "dpo", "beta": 0.1}
MDPO = [DPO, {"name": "conditional", "beta": 0.1}, {"name": "anchored", "beta": 0.1, "delta": 0.0}]
OBJECTIVES = {"dpo": {"objectives": [DPO]}, "mdpo": {"objectives": MDPO, "hard_negative": {"name": "crop"}}}


def measure(folder: Path, *, objective: str, pairs: int, steps: int, checkpointing: bool) -> dict:
    settings = {
        "model": {"path": str(folder / "model"), "dtype": "float32", "remat": "full" if checkpointing else "none"},
        "lora": {"r": 16, "lora_alpha": 32},
        "data": {"path": str(folder / "pairs.json"), "images": str(folder / "images"), "length_multiple": 1},
        "batch": {"pairs": pairs},
        "optimizer": {"learning_rate": 1e-4},
        "steps": steps + 1,
        "out": str(folder / "run"),
        **OBJECTIVES[objective],
    }
    prepared = prepare(settings_of(settings))
    state, ends, losses = prepared.state, [], []
    for host in prepared.job.batches(0):
        state, metrics = prepared.job.step(state, prepared.job.put(host.batch))
        losses.append(float(metrics["loss"]))  # waits for the step
        ends.append(time.perf_counter())
    shapes = jax.tree.map(lambda leaf: leaf.shape, host.batch._asdict())
    lora = sum(leaf.size for leaf in jax.tree.leaves(state.lora))
    seconds = [end - begin for begin, end in itertools.pairwise(ends)]
    return {"seconds": seconds, "shapes": str(shapes), "trained_parameters": lora, "losses": losses[:1]}


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("--objective", choices=OBJECTIVES, default="mdpo")
    parser.add_argument("--pairs", type=int, default=4)
    parser.add_argument("--steps", type=int, default=60)
    parser.add_argument("--checkpointing", action="store_true")
    arguments = parser.parse_args()
    print(json.dumps(measure(**vars(arguments))))
