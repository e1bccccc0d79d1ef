"""A small world and the captions that one might say of it."""

import pytest

from jax_mdpo.scenes.files import Counts, write_world
from jax_mdpo.scenes.scene import WorldSettings

SETTINGS, COUNTS = WorldSettings(seed=7), Counts(train=6, held_out=4, evaluation=8)


@pytest.fixture(scope="session")
def world(tmp_path_factory):
    return write_world(tmp_path_factory.mktemp("world"), SETTINGS, COUNTS)
