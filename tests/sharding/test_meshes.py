"""Every mesh gives the single device's loss and gradients, from an adapter whose B is not zero."""

import os
import subprocess
import sys
from pathlib import Path

import needs_torch  # noqa: F401
import numpy as np
import pytest
from mdpo_world import make_world
from quick_compiling import xla_flags

MESHES = {1: "data 8", 2: "data 2, fsdp 4", 3: "data 2, fsdp 2, tensor 2"}


@pytest.fixture(scope="module")
def by_mesh(tmp_path_factory):
    folder = tmp_path_factory.mktemp("meshes")
    world = make_world(folder / "world", pairs=8, scale=0.1, alpha=5)
    program = [sys.executable, Path(__file__).parent / "gradients.py", world.folder, world.adapter, world.data, folder]
    flags = xla_flags("--xla_force_host_platform_device_count=8")
    subprocess.run(program, check=True, env={**os.environ, "XLA_FLAGS": flags, "JAX_PLATFORMS": "cpu"})
    return [dict(np.load(folder / f"{number}.npz")) for number in range(4)]


@pytest.mark.parametrize("number", MESHES, ids=MESHES.get)
def test_loss_and_gradients_are_the_single_device_s(by_mesh, number):
    single, spread = by_mesh[0], by_mesh[number]
    assert single["devices"] == 1 and spread["devices"] == 8
    assert spread["loss"] == pytest.approx(single["loss"], rel=1e-5)
    matrices = [name for name in single if "/" in name]
    assert len(matrices) == 28
    for name in matrices:
        assert np.linalg.norm(single[name]) > 0, name
        assert np.linalg.norm(spread[name] - single[name]) < 1e-5 * np.linalg.norm(single[name]), name


def test_fsdp_and_tensor_split_the_weights(by_mesh):
    assert by_mesh[1]["split"] == 0 and by_mesh[2]["split"] > 10 and by_mesh[3]["split"] > by_mesh[2]["split"] - 1
