"""One tiny checkpoint for all runs of the program, and a cache folder that is not the user's."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from end_to_end import world

from jax_mdpo.data.cache import VARIABLE


@pytest.fixture(scope="session", autouse=True)
def cache_folder(tmp_path_factory) -> Iterator[None]:
    before = os.environ.get(VARIABLE)
    os.environ[VARIABLE] = str(tmp_path_factory.mktemp("cache"))
    yield
    os.environ.pop(VARIABLE) if before is None else os.environ.update({VARIABLE: before})


@pytest.fixture(scope="session")
def checkpoint(tmp_path_factory) -> Path:
    return world.write_checkpoint(tmp_path_factory.mktemp("llava") / "model")
