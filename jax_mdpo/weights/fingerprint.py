"""Which weights a folder holds, told from samples: hashing tens of gigabytes at every start would cost minutes."""

import hashlib
import json
from pathlib import Path
from typing import Any

from jax_mdpo.weights.files import CheckpointFiles

SAMPLE = 4096  # bytes at a tensor's start, middle and end; training moves every matrix that it touches almost everywhere
HEADER_SIZE = 8  # bytes that hold the header's length, little-endian; https://github.com/huggingface/safetensors#format


def weights_digest(folder: Path) -> str:
    """A digest of config.json and, of every tensor, its name, dtype, shape and some bytes; not of how they are split over files."""
    digest = hashlib.sha256((folder / "config.json").read_bytes())
    tensors = CheckpointFiles.open(folder).tensors
    samples = {name: sampled for file in sorted({info.file for info in tensors.values()}) for name, sampled in _samples(folder / file)}
    for name, info in sorted(tensors.items()):
        digest.update(repr((name, info.dtype, info.shape)).encode())
        digest.update(samples[name])
    return digest.hexdigest()


def _samples(path: Path) -> list[tuple[str, bytes]]:
    found = []
    with path.open("rb") as file:
        size = int.from_bytes(file.read(HEADER_SIZE), "little")
        header: dict[str, Any] = json.loads(file.read(size))
        for name, entry in header.items():
            if name != "__metadata__":
                begin, end = entry["data_offsets"]
                pieces = []
                for at in (begin, (begin + end) // 2, max(begin, end - SAMPLE)):
                    file.seek(HEADER_SIZE + size + at)
                    pieces.append(file.read(min(SAMPLE, end - at)))
                found.append((name, b"".join(pieces)))
    return found
