"""Run as a program with four virtual devices: the tokens on each mesh, written to a JSON file.

python on_meshes.py CHECKPOINT OUT
"""

import json
import sys
from pathlib import Path

import jax

from jax_mdpo.generation.generator import Generator
from jax_mdpo.generation.requests import Request
from jax_mdpo.generation.settings import Decoding
from jax_mdpo.models.checkpoint import load_checkpoint
from jax_mdpo.sharding.logical import make_mesh

MESHES = {"one": (1, 1, 1), "both": (1, 2, 2)}  # data, fsdp, tensor
BEAMS = Decoding(max_tokens=6, beams=2)  # a search also moves the cache's rows about
REQUESTS = [Request(0, "what is in the picture ?"), Request(1, "a red cat ?"), Request(2, "is no one here , and a dog ?")]


def main() -> None:
    folder, out = map(Path, sys.argv[1:])
    found = {}
    for mesh, (data, fsdp, tensor) in MESHES.items():
        checkpoint = load_checkpoint(folder, make_mesh(data, fsdp, tensor, jax.devices()[: data * fsdp * tensor]))
        made = Generator.of(checkpoint, BEAMS, rows=3)
        found[mesh] = {"tokens": [answer.tokens for answer in made.answers(REQUESTS)], "rows": made.rows}
    out.write_text(json.dumps(found), encoding="utf-8")


if __name__ == "__main__":
    main()
