"""Greedy answers by jax_mdpo. Reads: folder, dtype, batches, tokens, steps."""

import time
from pathlib import Path
from typing import Any

import jax

import jax_mdpo
from benchmarks.harness.protocol import serve, versions
from benchmarks.programs.questions import questions
from jax_mdpo.generation.generator import Generator


def main(spec: dict[str, Any]) -> dict[str, Any]:
    folder = Path(spec["folder"])
    checkpoint = jax_mdpo.load(folder / "model", dtype=spec["dtype"])
    return {
        "device": jax.devices()[0].device_kind,
        "versions": versions("jax", "jaxlib", "flax"),
        "runs": [measure(checkpoint, folder, spec, rows) for rows in spec["batches"]],
    }


def measure(checkpoint: Any, folder: Path, spec: dict[str, Any], rows: int) -> dict[str, Any]:
    requests = [jax_mdpo.Request(*question) for question in questions(folder, rows)]
    first, whole = (Generator.of(checkpoint, jax_mdpo.Decoding(max_tokens=count), rows=rows) for count in (1, spec["tokens"]))
    found: dict[str, Any] = {"batch": rows, "first": [], "whole": []}
    for repetition in range(spec["steps"] + 1):  # before the first, compiling
        for name, made in (("first", first), ("whole", whole)):
            began = time.perf_counter()
            answers = [answer.tokens for answer in made.answers(requests)]
            found[name] += [time.perf_counter() - began] * (repetition > 0)
    return {**found, "answers": answers}


if __name__ == "__main__":
    serve(main)
