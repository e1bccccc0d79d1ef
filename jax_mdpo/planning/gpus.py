"""NVIDIA GPUs as XLA's compiler must be told of them where none is there.

The form is XLA's GpuTargetConfigProto (openxla/xla, stream_executor/device_description.proto) in text format. Its figures: the CUDA C++
Programming Guide's table of technical specifications per compute capability, and NVIDIA's data sheets and architecture white papers.
"""

from dataclasses import dataclass
from functools import partial

from jax_mdpo.planning.chips import Topology


@dataclass(frozen=True)
class Processor:
    """described: as the driver names the device. capability: the compute capability. cores: streaming multiprocessors. clock: GHz, boosted.

    memory: bytes. cache: bytes of the second level. shared, shared_block: bytes of shared memory of a core, and of one block that
    asks for all it may have. threads: of a core. lanes: float32 units of a core.
    """

    described: str
    capability: tuple[int, int]
    cores: int
    clock: float
    memory: int
    cache: int
    shared: int
    shared_block: int
    threads: int
    lanes: int


_hopper = partial(
    Processor, capability=(9, 0), cores=132, clock=1.98, cache=50 * 2**20, shared=233472, shared_block=232448, threads=2048, lanes=128
)
_ampere = partial(
    Processor, capability=(8, 0), cores=108, clock=1.41, cache=40 * 2**20, shared=167936, shared_block=166912, threads=2048, lanes=64
)
_ada = partial(
    Processor, capability=(8, 9), cores=58, clock=2.04, cache=48 * 2**20, shared=102400, shared_block=101376, threads=1536, lanes=128
)
PROCESSORS = {
    "h100": _hopper("NVIDIA H100 80GB HBM3", memory=80 * 10**9),
    "h200": _hopper("NVIDIA H200", memory=141 * 10**9),
    "a100-40": _ampere("NVIDIA A100-SXM4-40GB", memory=40 * 10**9),
    "a100-80": _ampere("NVIDIA A100-SXM4-80GB", memory=80 * 10**9),
    "l4": _ada("NVIDIA L4", memory=24 * 10**9),
}
CUDA, CUDNN = (13, 0), (9, 12)  # versions that the programs are to run on: the lowest that jax's cuda13 packages take


def target(place: Topology) -> str:
    """The description of one of the topology's GPUs."""
    gpu = PROCESSORS[place.kind]
    major, minor = gpu.capability
    return f"""
gpu_device_info {{
  cuda_compute_capability {{ major: {major} minor: {minor} }}
  core_count: {gpu.cores}
  clock_rate_ghz: {gpu.clock}
  fpus_per_core: {gpu.lanes}
  threads_per_warp: 32
  threads_per_block_limit: 1024
  threads_per_core_limit: {gpu.threads}
  registers_per_block_limit: 65536
  registers_per_core_limit: 65536
  shared_memory_per_block: 49152
  shared_memory_per_block_optin: {gpu.shared_block}
  shared_memory_per_core: {gpu.shared}
  block_dim_limit_x: 2147483647
  block_dim_limit_y: 65535
  block_dim_limit_z: 65535
  device_memory_size: {gpu.memory}
  memory_bandwidth: {int(place.chip.bandwidth or 0)}
  l2_cache_size: {gpu.cache}
}}
platform_name: "CUDA"
runtime_version {{ major: {CUDA[0]} minor: {CUDA[1]} }}
dnn_version_info {{ major: {CUDNN[0]} minor: {CUDNN[1]} }}
device_description_str: "{gpu.described}"
"""
