"""Devices to compile for that are not there."""

import contextlib
import importlib.util
import os
from collections.abc import Sequence

import jax
from jax.experimental import topologies

from jax_mdpo.core.errors import UserError
from jax_mdpo.planning.chips import Topology
from jax_mdpo.planning.gpus import target

# libtpu looks for a TPU's host when it is loaded; told that there is one such host, it looks no further and prints nothing
_QUIET = {
    "TPU_SKIP_MDS_QUERY": "1",
    "TPU_ACCELERATOR_TYPE": "v5litepod-4",
    "TPU_WORKER_HOSTNAMES": "localhost",
    "ALLOW_MULTIPLE_LIBTPU_LOAD": "1",
}


def tpu_devices(topology: Topology) -> Sequence[jax.Device]:
    """The devices of a TPU slice, for the compiler only. Raises UserError where libtpu, which holds that compiler, is not installed."""
    if importlib.util.find_spec("libtpu") is None:
        raise UserError(
            f"planning for {topology.name} needs the TPU compiler, which is not installed",
            expected="the package libtpu, in the version that jax asks for",
            fix="in an environment of its own: JAX_MDPO_VENV=.venv-plan JAX_MDPO_ACCELERATOR=tpu bash launch/local.sh plan …",
        )
    for name, value in _QUIET.items():
        os.environ.setdefault(name, value)
    single = {"chips_per_host_bounds": (1, 1, 1)} if topology.devices == 1 else {}
    return topologies.get_topology_desc(platform="tpu", topology_name=topology.shape, **single).devices


HOST_GPUS = 8  # of one machine


def gpu_devices(topology: Topology) -> Sequence[jax.Device] | None:
    """The devices of NVIDIA GPUs, for the compiler only. None where jax's CUDA plugin, which holds that compiler, is not installed."""
    if importlib.util.find_spec("jax_cuda13_plugin") is None:
        return None
    with contextlib.suppress(RuntimeError):  # jax has started already, with the GPUs that are here
        jax.config.update("jax_platforms", "cpu")  # without a GPU the plugin would refuse to load
    hosts, rest = divmod(topology.devices, HOST_GPUS)
    shape = f"1x{hosts}x{HOST_GPUS}" if hosts and not rest else f"1x1x{topology.devices}"
    try:
        return topologies.get_topology_desc(platform="cuda", target_config=target(topology), topology=shape).devices
    except NotImplementedError:  # the plugin was looked for, and refused to load, before this could tell it not to look for GPUs
        raise UserError(
            f"planning for {topology.name} needs the GPU compiler, and jax has started without it on this machine, which has no GPU",
            fix="plan first thing in a process, or set JAX_PLATFORMS=cpu",
        ) from None


def host_devices(count: int) -> Sequence[jax.Device]:
    """As many CPU devices as are asked for, to stand for others while shapes are worked out."""
    with contextlib.suppress(RuntimeError):  # jax has started already, with the number that it has
        jax.config.update("jax_num_cpu_devices", count)
    devices = jax.devices("cpu")
    if len(devices) < count:
        raise UserError(
            f"{count} devices are to be planned for, and jax has started with {len(devices)}",
            fix=f"plan first thing in a process, or set XLA_FLAGS=--xla_force_host_platform_device_count={count}",
        )
    return devices[:count]
