"""Which kernel computes attention, by the devices and the dtype of the model."""

import logging
from collections.abc import Mapping

import jax.numpy as jnp
import numpy as np
from jax.sharding import AbstractDevice

from jax_mdpo.core.errors import ConfigError
from jax_mdpo.layers.execution import Attention, Kernel

_log = logging.getLogger(__name__)

OWN: Mapping[str, Kernel] = {"tpu": "splash", "gpu": "cudnn"}  # a platform's own kernel
HALF = (jnp.dtype(jnp.bfloat16), jnp.dtype(jnp.float16))


def choose(wanted: Attention, device: AbstractDevice, dtype: np.dtype) -> Kernel:
    """The kernel for a model in `dtype` on devices like this one.

    auto: the platform's own where it can compute this, else xla; a log line says why not. Raises ConfigError where the kernel that
    is asked for cannot.
    """
    kernel = OWN.get(device.platform, "xla") if wanted == "auto" else wanted
    obstacle = _obstacle(kernel, device, dtype)
    if obstacle is None:
        return kernel
    if wanted != "auto":
        raise ConfigError(f"attention cannot be {kernel}: {obstacle}", fix="choose model.attention=auto or model.attention=xla")
    _log.warning("attention runs on xla, not on %s: %s", kernel, obstacle)
    return "xla"


def _obstacle(kernel: Kernel, device: AbstractDevice, dtype: np.dtype) -> str | None:
    if kernel == "cudnn" and not (device.platform == "gpu" and "NVIDIA" in device.device_kind):
        return f"it takes an NVIDIA GPU, and the devices are {device.device_kind}"
    if kernel == "cudnn" and dtype not in HALF:
        return f"it computes in bfloat16 and float16 only, and the model is in {dtype}"
    if kernel == "splash" and device.platform != "tpu":
        return f"it takes a TPU, and the devices are {device.device_kind}"
    if kernel == "splash" and dtype == jnp.float16:
        return "TPUs compute in bfloat16 and float32, and the model is in float16"
    return None
