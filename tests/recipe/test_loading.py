"""How a model is run, from its settings and the devices."""

import numpy as np
import pytest

from jax_mdpo.core.errors import ConfigError
from jax_mdpo.layers.execution import Execution
from jax_mdpo.recipe.loading import execution_of
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
