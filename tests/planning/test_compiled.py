"""What the TPU compiler says where a program does not fit (libtpu 0.0.42 and later give the first message), and the cache of programs."""

import uuid
from pathlib import Path

import jax
import jax.numpy as jnp
import pytest

from jax_mdpo.planning.compiled import compiled, refused_size


@pytest.mark.parametrize(
    ("message", "gib"),
    [
        ("the total memory required for HLO temporaries (40.26G) exceeds available HBM (15.75G).", 40.26),
        ("the total memory required for HLO temporaries (1.50T) exceeds available HBM (95.74G).", 1536),
        ("Ran out of memory in memory space hbm. Used 16.51G of 15.75G hbm. Exceeded hbm capacity by 783.19M.", 16.51),
        ("INTERNAL: something else went wrong (15.75G)", None),
    ],
)
def test_the_size_that_is_refused_is_read(message, gib):
    assert refused_size(message) == (None if gib is None else pytest.approx(gib * 2**30))


def traced(name):
    """A program of that name, never made before."""
    factor = uuid.uuid4().int % 10**6

    def function(x):
        return x * factor

    function.__name__ = name
    return jax.jit(function).trace(jnp.ones(3))


@pytest.fixture
def every_program_is_cached():
    least = jax.config.jax_persistent_cache_min_compile_time_secs
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)
    folder = Path(jax.config.jax_compilation_cache_dir)
    yield folder
    for left in folder.glob("jit_trained_*"):
        left.unlink()
    jax.config.update("jax_persistent_cache_min_compile_time_secs", least)


def test_what_is_planned_does_not_enter_the_cache_of_programs(every_program_is_cached):
    """What is made for absent devices cannot be read back from it."""
    trained, planned = (f"{kind}_{uuid.uuid4().hex}" for kind in ("trained", "planned"))
    traced(trained).lower().compile()
    assert compiled(traced(planned), "cpu").peak > 0
    held = {path.name.split("-")[0] for path in every_program_is_cached.iterdir()}
    assert f"jit_{trained}" in held and f"jit_{planned}" not in held
