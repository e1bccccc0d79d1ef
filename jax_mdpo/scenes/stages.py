"""Folders that are made once: each is named after what it is made from, and is there whole or not at all."""

import hashlib
import json
import shutil
from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from jax_mdpo.core.files import write_text

MADE_FROM = "made_from.json"  # stands in every finished stage
UNFINISHED = "unfinished"  # where stages are while they are made


def stage(out: Path, name: str, made_from: Mapping[str, Any], make: Callable[[Path], object]) -> Path:
    """The folder of a stage, made by `make` where it is not there. It appears whole, under a name that tells what it is made from.

    made_from: plain values and dataclasses of settings. make: fills the empty folder that it gets; one that was cut off is made anew.
    """
    text = json.dumps(made_from, indent=1, default=asdict) + "\n"
    folder = out / f"{name}-{hashlib.sha256(text.encode()).hexdigest()[:8]}"
    if not folder.exists():
        unfinished = out / UNFINISHED / folder.name
        shutil.rmtree(unfinished, ignore_errors=True)
        unfinished.mkdir(parents=True)
        make(unfinished)
        write_text(unfinished / MADE_FROM, text)
        unfinished.rename(folder)
    return folder
