"""What answers were made from: it stands beside them, and beside their figures."""

import hashlib
from pathlib import Path
from typing import Any

from jax_mdpo.generation.settings import Decoding
from jax_mdpo.weights.fingerprint import weights_digest
from jax_mdpo.weights.hub import resolve


def origin_of(
    model: str | Path, decoding: Decoding | None, *, adapter: str | Path | None, dtype: str | None, quantization: str | None
) -> dict[str, Any]:
    """Names, and digests of what they name: the same folder may hold other weights by the next time. dtype: as stored where None.

    decoding: how answers are chosen, where any are.
    """
    origin = {
        "model": str(model),
        "adapter": None if adapter is None else str(adapter),
        "weights": {"model": weights_digest(resolve(model)), "adapter": None if adapter is None else _digest(Path(adapter))},
        "dtype": dtype,
        "quantization": quantization,
    }
    return origin if decoding is None else {**origin, "decoding": vars(decoding)}


def _digest(adapter: Path) -> str:
    """Of all files of an adapter's folder that say what it computes. What is missing is said when it is read."""
    files = [file for file in sorted(adapter.glob("adapter_*")) if file.is_file()]
    return hashlib.sha256(b"".join(hashlib.sha256(file.read_bytes()).digest() for file in files)).hexdigest()
