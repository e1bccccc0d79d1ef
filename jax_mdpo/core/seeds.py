"""Every random draw of the program starts here, from a seed and the names of what is drawn."""

import hashlib

import numpy as np


def generator(seed: int, *names: object) -> np.random.Generator:
    """A numpy generator that depends on `seed` and on the text of `names` only, for example (seed, "crop", record id, epoch).

    Python's own `hash` differs from process to process, hence the digest.
    """
    digest = hashlib.sha256("\x1f".join(map(str, names)).encode()).digest()
    return np.random.default_rng([seed, *np.frombuffer(digest, dtype=np.uint32).tolist()])
