"""The platform's own kernel where it can compute the model, xla elsewhere; what is asked for by name is done or refused."""

import numpy as np
import pytest
from jax.sharding import AbstractDevice

from jax_mdpo.core.errors import ConfigError
from jax_mdpo.layers.attention import choose

FLOAT32, BFLOAT16, FLOAT16 = (np.dtype(name) for name in ("float32", "bfloat16", "float16"))
CPU = AbstractDevice(device_kind="cpu", num_cores=1, platform="cpu")
TPU = AbstractDevice(device_kind="TPU v5 lite", num_cores=1, platform="tpu")
NVIDIA = AbstractDevice(device_kind="NVIDIA H100 80GB HBM3", num_cores=1, platform="gpu")
AMD = AbstractDevice(device_kind="AMD Instinct MI300X", num_cores=1, platform="gpu")


@pytest.mark.parametrize(
    ("device", "dtype", "kernel"), [(CPU, BFLOAT16, "xla"), (TPU, FLOAT32, "splash"), (TPU, BFLOAT16, "splash"), (NVIDIA, FLOAT16, "cudnn")]
)
def test_a_platform_s_own_kernel_is_chosen(device, dtype, kernel, caplog):
    assert choose("auto", device, dtype) == kernel
    assert not caplog.records
    assert choose("xla", device, dtype) == "xla"


REFUSED = [
    ("cudnn", NVIDIA, FLOAT32, "the model is in float32"),
    ("cudnn", AMD, BFLOAT16, "takes an NVIDIA GPU, and the devices are AMD Instinct"),
    ("cudnn", CPU, BFLOAT16, "takes an NVIDIA GPU, and the devices are cpu"),
    ("splash", NVIDIA, BFLOAT16, "takes a TPU, and the devices are NVIDIA"),
    ("splash", TPU, FLOAT16, "the model is in float16"),
]


@pytest.mark.parametrize(("kernel", "device", "dtype", "why"), REFUSED)
def test_a_kernel_that_cannot_is_refused_with_the_reason(kernel, device, dtype, why):
    with pytest.raises(ConfigError, match=f"cannot be {kernel}.*{why}"):
        choose(kernel, device, dtype)


@pytest.mark.parametrize(("kernel", "device", "dtype", "why"), [REFUSED[0], REFUSED[1], REFUSED[4]])
def test_where_the_platform_s_own_cannot_xla_takes_its_place_and_the_log_says_why(kernel, device, dtype, why, caplog):
    assert choose("auto", device, dtype) == "xla"
    assert f"not on {kernel}" in caplog.text and why in caplog.text
