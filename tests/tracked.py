"""Runs that track a benchmark: their settings, and a benchmark whose only figure falls from evaluation to evaluation."""

from itertools import count
from pathlib import Path
from typing import Any, NamedTuple

import pictured
from end_to_end.world import write_pairs

from jax_mdpo.core.config import config
from jax_mdpo.evaluation.benchmarks.pope import Pope
from jax_mdpo.evaluation.benchmarks.protocol import Report

STEPS, EVERY, SAMPLE = 6, 2, 12
METRIC = "eval/pope/adversarial/accuracy"
REPORTS = count(1)


class Data(NamedTuple):
    """Preference pairs, POPE's questions, and their pictures."""

    pairs: Path
    questions: Path
    images: Path


def write_data(folder: Path) -> Data:
    return Data(write_pairs(folder / "pairs", 4), *pictured.pope(folder / "pope", 8))


def benchmark(about: Data, /, **changes: Any) -> dict[str, Any]:
    """An entry of evaluation.benchmarks: a sample of the questions, in short."""
    values = {"benchmark": "pope", "data": str(about.questions), "images": str(about.images), "sample": SAMPLE, "max_tokens": 6, "batch": 4}
    return {**values, **changes}


def settings(model: Path | str, data: Data, out: Path | str, **changes: Any) -> dict[str, Any]:
    """DPO for a few steps in which the answers change, evaluated at every second one. `changes` replace top-level keys."""
    values = {
        "model": {"path": str(model)},
        "data": {"path": str(data.pairs), "length_multiple": 8},
        "evaluation": {"every": EVERY, "benchmarks": [benchmark(data)]},
        "checkpoint": {"every": EVERY, "best": {"metric": METRIC, "mode": "max"}},
        "objectives": [{"name": "dpo"}],
        "lora": {"r": 4, "lora_alpha": 32, "lora_dropout": 0.1},
        "optimizer": {"learning_rate": 5e-2, "warmup_ratio": 0.0, "schedule": "constant"},
        "batch": {"pairs": 4, "logits_chunk": 8},
        "logging": {"console_every": 1000},
        "steps": STEPS,
        "out": str(out),
    }
    return {**values, **changes}


@config
class Falling(Pope):
    """POPE's questions."""

    def report(self, items):
        return Report({"Words": {"Shortest": -next(REPORTS)}}, decimals=0)
