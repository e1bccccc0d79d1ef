"""Where a traced computation will run, which need not be where it is traced."""

import jax


def platform() -> str:
    """cpu, gpu or tpu: of the mesh in scope, which may be of devices that are not here; without a mesh, of jax's default backend."""
    device = jax.sharding.get_abstract_mesh().abstract_device
    return jax.default_backend() if device is None else device.platform
