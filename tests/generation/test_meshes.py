"""Four devices, which share rows and heads, answer as one does."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from end_to_end.world import write_checkpoint
from quick_compiling import xla_flags


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    folder = tmp_path_factory.mktemp("meshes")
    program = [sys.executable, Path(__file__).parent / "on_meshes.py", write_checkpoint(folder / "checkpoint"), folder / "found.json"]
    flags = xla_flags("--xla_force_host_platform_device_count=4")
    subprocess.run(program, check=True, env={**os.environ, "XLA_FLAGS": flags, "JAX_PLATFORMS": "cpu"})
    return json.loads((folder / "found.json").read_text(encoding="utf-8"))


def test_tokens_are_the_single_device_s(found):
    assert found["one"]["tokens"] == found["both"]["tokens"]
    assert len({tuple(tokens) for tokens in found["one"]["tokens"]}) == 3


def test_rows_are_rounded_up_to_what_the_mesh_splits(found):
    assert {mesh: of["rows"] for mesh, of in found.items()} == {"one": 3, "both": 4}
