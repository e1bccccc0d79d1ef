"""Several processes as one program."""

import os

import jax

from jax_mdpo.core.errors import ConfigError

ADDRESS, COUNT, NUMBER = "JAX_COORDINATOR_ADDRESS", "JAX_NUM_PROCESSES", "JAX_PROCESS_ID"
HEARTBEAT = (
    30  # seconds without a sign of life after which the others give a process up; where they wait in no collective, nothing else tells
)


def initialize() -> None:
    """Joins the other processes. On a TPU slice or under SLURM jax finds them itself; elsewhere three variables name them.

    JAX_COORDINATOR_ADDRESS (host:port of process 0), JAX_NUM_PROCESSES, JAX_PROCESS_ID.
    """
    given = [name for name in (ADDRESS, COUNT, NUMBER) if name in os.environ]
    if not given:
        jax.distributed.initialize(heartbeat_timeout_seconds=HEARTBEAT)
        return
    if len(given) < 3:
        missing = ", ".join({ADDRESS, COUNT, NUMBER} - set(given))
        raise ConfigError(f"--distributed: {', '.join(given)} is set, but {missing} is not", fix="set all three, or none on a TPU slice")
    jax.distributed.initialize(os.environ[ADDRESS], int(os.environ[COUNT]), int(os.environ[NUMBER]), heartbeat_timeout_seconds=HEARTBEAT)
