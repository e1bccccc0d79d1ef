"""What a platform's compiler is told beyond its defaults."""

from collections.abc import Mapping

# Weights cross a TPU's network while products are computed: transfers start early, and are carried out piece by piece inside the products
# that run meanwhile. Without these the compiler (libtpu 0.0.42) waits for every gather of a whole weight. The names are those that MaxText
# lists for it ("CF for all-gather" in its benchmarks/xla_flags_library.py).
_BEHIND_THE_WORK = {
    "xla_enable_async_all_gather": True,
    "xla_tpu_enable_async_collective_fusion": True,
    "xla_tpu_enable_async_collective_fusion_fuse_all_gather": True,
    "xla_tpu_enable_async_collective_fusion_multiple_steps": True,
    "xla_tpu_overlap_compute_collective_tc": True,
}

COMPILER_OPTIONS: Mapping[str, Mapping[str, bool]] = {"tpu": _BEHIND_THE_WORK}
"""By platform, for jax.jit."""
