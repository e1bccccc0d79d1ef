"""Terms and token weights by the names that a configuration uses."""

from jax_mdpo.objectives.anchored import Anchored
from jax_mdpo.objectives.bco import BCO
from jax_mdpo.objectives.conditional import Conditional
from jax_mdpo.objectives.dpo import DPO
from jax_mdpo.objectives.dpop import DPOP
from jax_mdpo.objectives.orpo import ORPO
from jax_mdpo.objectives.sft import SFT
from jax_mdpo.objectives.simpo import SimPO
from jax_mdpo.objectives.uncertainty import Uncertainty

TERMS = {
    "dpo": DPO,
    "conditional": Conditional,
    "anchored": Anchored,
    "dpop": DPOP,
    "simpo": SimPO,
    "orpo": ORPO,
    "bco": BCO,
    "sft": SFT,
}
WEIGHTINGS = {"uncertainty": Uncertainty}
