"""Compiled programs are found again by the next start, in the user's cache folder unless told otherwise."""

import os
import subprocess
import sys

import jax
import pytest

from jax_mdpo.data.cache import VARIABLE
from jax_mdpo.recipe import opening, pairs, reference, scoring, training
from jax_mdpo.recipe.compilation import keep_compiled_programs
from jax_mdpo.recipe.configuration import settings_of

START = """
import jax, jax.numpy as jnp
from jax_mdpo.recipe.compilation import keep_compiled_programs
from jax_mdpo.training.programs import ProgramCount

keep_compiled_programs()
count = ProgramCount()
jax.jit(lambda x: jnp.sin(x @ x))(jnp.ones((8, 8)))
print(*count.now())
"""


def started(folder, **changes: str) -> tuple[int, int]:
    """Programs and compilations of a process that keeps all programs, however quickly they compile."""
    inherited = {name: value for name, value in os.environ.items() if name != "JAX_COMPILATION_CACHE_DIR"}
    ours = {VARIABLE: str(folder), "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0", "JAX_PLATFORMS": "cpu"}
    path = {"PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    environment = {**inherited, **ours, **path, **changes}
    ended = subprocess.run([sys.executable, "-c", START], env=environment, capture_output=True, text=True, check=True)
    programs, compilations = map(int, ended.stdout.split())
    return programs, compilations


def test_a_second_start_compiles_nothing(tmp_path):
    programs, compilations = started(tmp_path)
    assert programs == compilations > 0
    kept = {path: path.stat().st_mtime_ns for path in (tmp_path / "xla").iterdir()}
    assert len(kept) == programs
    assert started(tmp_path) == (programs, 0)
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "xla").iterdir()} == kept


def test_it_can_be_switched_off(tmp_path):
    programs, compilations = started(tmp_path, JAX_ENABLE_COMPILATION_CACHE="false")
    assert programs == compilations > 0 and not (tmp_path / "xla").exists()


def test_a_folder_that_the_user_chose_stays(monkeypatch, tmp_path):
    chosen = jax.config.jax_compilation_cache_dir
    assert chosen is not None  # the tests' own; see conftest.py
    monkeypatch.setenv(VARIABLE, str(tmp_path))
    keep_compiled_programs()
    assert jax.config.jax_compilation_cache_dir == chosen


class Called(Exception):
    """Stands for the rest of the program."""


RUN = {"model": {"path": "m"}, "data": {"path": "d"}, "objectives": [{"name": "dpo"}], "steps": 1, "out": "runs/none"}
ENTRIES = {
    "train": (training, lambda: training.train(RUN)),
    "score": (opening, lambda: scoring.score("m", "d")),
    "eval pairs": (opening, lambda: pairs.judge_pairs("m", "d")),
    "reference": (reference, lambda: reference.reference(settings_of({**RUN, "reference": {"cache": "c"}}))),
}


@pytest.mark.parametrize("entry", ENTRIES)
def test_whatever_compiles_begins_with_it(entry, monkeypatch):
    module, begin = ENTRIES[entry]

    def called():
        raise Called

    monkeypatch.setattr(module, "keep_compiled_programs", called)
    with pytest.raises(Called):
        begin()
