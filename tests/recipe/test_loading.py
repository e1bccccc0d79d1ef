"""How a model is run, from its settings and the devices."""

import json
import logging

import numpy as np
import pytest
from end_to_end import world
from safetensors.numpy import load_file, save_file

from jax_mdpo.core.errors import ConfigError
from jax_mdpo.layers.execution import Execution
from jax_mdpo.recipe.loading import execution_of, load
from jax_mdpo.recipe.settings import ModelSettings
from jax_mdpo.sharding.logical import make_mesh

FLOAT32 = np.dtype(np.float32)


def test_settings_and_devices_say_how_a_model_is_run():
    settings = ModelSettings(path="m", scan=False, remat="mlp", attention="xla")
    assert execution_of(settings, make_mesh(), FLOAT32) == Execution(scan=False, remat="mlp", attention="xla")


def test_a_kernel_that_the_devices_cannot_run_is_refused():
    """No platform has both."""
    with pytest.raises(ConfigError, match="the devices are"):
        for kernel in ("cudnn", "splash"):
            execution_of(ModelSettings(path="m", attention=kernel), make_mesh(), np.dtype("bfloat16"))


def test_what_is_stored_in_float16_is_held_in_what_the_device_computes_in(tmp_path, caplog):
    folder = world.write_checkpoint(tmp_path / "checkpoint")
    weights = load_file(folder / "model.safetensors")
    halves = {name: value.astype(np.float16) for name, value in weights.items()}
    save_file(halves, folder / "model.safetensors", {"format": "pt"})
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, "dtype": "float16"}))
    with caplog.at_level(logging.WARNING):
        held = load(folder)
    assert held.dtype == FLOAT32 and "checkpoint is stored in float16, in which a CPU does not compute" in caplog.text
    with pytest.raises(ConfigError, match="a CPU does not compute in float16"):
        load(folder, dtype="float16")
