"""Under a mesh every device runs splash on its own rows and heads; XLA could not split it."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from layers.on_meshes import MESHES
from layers.rows import HEADS


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    out = tmp_path_factory.mktemp("meshes") / "found.npz"
    tests = Path(__file__).parent.parent
    environment = {
        **os.environ,
        "XLA_FLAGS": f"{os.environ.get('XLA_FLAGS', '')} --xla_force_host_platform_device_count=8",
        "JAX_PLATFORMS": "cpu",
        "PYTHONPATH": str(tests),
    }
    subprocess.run([sys.executable, tests / "layers" / "on_meshes.py", out], check=True, env=environment)
    return dict(np.load(out))


SINGLE, *SPREAD = MESHES


@pytest.mark.parametrize("mesh", SPREAD)
def test_outputs_and_gradients_are_the_single_device_s(found, mesh):
    for number in range(4):
        assert np.abs(found[f"{SINGLE}/{number}"]).max() > 0.1
        np.testing.assert_allclose(found[f"{mesh}/{number}"], found[f"{SINGLE}/{number}"], atol=1e-5)


def test_heads_are_split_where_key_value_heads_divide(found):
    assert [int(found[f"{mesh}/heads"]) for mesh in MESHES] == [HEADS, HEADS // 2, HEADS]
