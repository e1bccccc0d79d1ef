"""Where what was computed from data is kept between runs."""

import hashlib
import os
from dataclasses import replace
from pathlib import Path

from jax_mdpo.core.files import replacing
from jax_mdpo.core.records import ImageSource, Record

VARIABLE = "JAX_MDPO_CACHE"


def cache_folder() -> Path:
    """The folder that the environment variable JAX_MDPO_CACHE names, else ~/.cache/jax_mdpo."""
    named = os.environ.get(VARIABLE)
    return Path(named) if named else Path.home() / ".cache" / "jax_mdpo"


def with_files(record: Record) -> Record:
    """`record` with image bytes moved into files named by their digest: the images of a data set need not all fit into the memory."""
    if not isinstance(record.image, bytes) and not isinstance(record.rejected_image, bytes):
        return record
    return replace(record, image=_filed(record.image), rejected_image=_filed(record.rejected_image))


def _filed(source: ImageSource | None) -> ImageSource | None:
    if not isinstance(source, bytes):
        return source
    digest = hashlib.sha256(source).hexdigest()
    path = cache_folder() / "images" / digest[:2] / digest
    if not path.is_file() or path.stat().st_size != len(source):
        with replacing(path) as temporary:
            temporary.write_bytes(source)
    return path
