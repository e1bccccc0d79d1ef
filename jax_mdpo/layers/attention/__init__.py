"""Attention, computed by what the platform has: cuDNN on NVIDIA GPUs, splash on TPUs, XLA elsewhere. The choice is choice.py's.

All kernels compute the same and none is handed a mask array: who attends to whom follows from a row's shape and segments.
On a CPU, where only tests run them, the two that belong to accelerators go through XLA and through the interpreter.
"""

from jaxtyping import Array, Float

from jax_mdpo.layers.attention import cudnn, xla
from jax_mdpo.layers.attention.cached import attend_cached as attend_cached
from jax_mdpo.layers.attention.choice import choose as choose
from jax_mdpo.layers.execution import Kernel
from jax_mdpo.layers.rows import Rows


def attend(
    q: Float[Array, "B T N H"], k: Float[Array, "B T K H"], v: Float[Array, "B T K H"], rows: Rows, kernel: Kernel
) -> Float[Array, "B T N H"]:
    """Causal attention along each path prefix → branch: a prefix over itself, each branch over its prefix and itself.

    Query heads share key-value heads in groups of N / K. Softmax in float32, scale 1 / sqrt(H). Outputs at padding are finite and
    meaningless. The result carries the name "attention" for layers/remat.py.
    """
    match kernel:
        case "xla":
            return xla.attend(q, k, v, rows)
        case "cudnn":
            return cudnn.attend(q, k, v, rows)
        case "splash":
            from jax_mdpo.layers.attention import splash  # most of a second to import

            return splash.attend(q, k, v, rows)


def full(q: Float[Array, "B T N H"], k: Float[Array, "B T K H"], v: Float[Array, "B T K H"], kernel: Kernel) -> Float[Array, "B T N H"]:
    """Every position attends to every other, as in an image tower; otherwise as `attend`."""
    match kernel:
        case "xla":
            return xla.full(q, k, v)
        case "cudnn":
            return cudnn.full(q, k, v)
        case "splash":
            from jax_mdpo.layers.attention import splash

            return splash.full(q, k, v)
