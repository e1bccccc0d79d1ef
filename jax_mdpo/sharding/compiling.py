"""What a platform's compiler is told beyond its defaults."""

from collections.abc import Mapping

# Weights and gradients cross a TPU's network while products are computed: transfers start early, and are carried out piece by piece
# inside the products that run meanwhile. The compiler's default is to wait for each of them.
_BEHIND_THE_WORK = {
    "xla_enable_async_all_gather": True,
    "xla_tpu_enable_async_collective_fusion": True,
    "xla_tpu_enable_async_collective_fusion_fuse_all_gather": True,
    "xla_tpu_enable_async_collective_fusion_multiple_steps": True,
    "xla_tpu_overlap_compute_collective_tc": True,
}

COMPILER_OPTIONS: Mapping[str, Mapping[str, bool]] = {"tpu": _BEHIND_THE_WORK}
"""By platform, for jax.jit."""
