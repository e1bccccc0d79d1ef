"""How much memory a process has needed so far."""

import resource

import jax


def peak_bytes() -> int:
    """On an accelerator the most that was in use of the first device's memory; on a CPU the process's largest resident size."""
    held = jax.local_devices()[0].memory_stats() or {}
    return held.get("peak_bytes_in_use", resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024)  # Linux counts in KiB
