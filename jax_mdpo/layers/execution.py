"""How a model is run, as distinct from what it computes: no choice here changes a result beyond rounding."""

from dataclasses import dataclass
from typing import Literal

from jax_mdpo.layers.remat import Remat

Kernel = Literal["xla", "cudnn", "splash"]
Attention = Literal["auto", "xla", "cudnn", "splash"]  # auto: what the platform has, see layers/attention/choice.py


@dataclass(frozen=True)
class Execution:
    """scan: compile one block of a stack and loop over it; without it the loop is unrolled. remat: see layers/remat.py.

    attention: the kernel that computes it, see layers/attention.
    """

    scan: bool = True
    remat: Remat = "none"
    attention: Kernel = "xla"


DEFAULT = Execution()
