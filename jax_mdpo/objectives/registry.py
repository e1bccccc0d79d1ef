"""Terms and token weights by the names that a configuration uses."""

from jax_mdpo.objectives.anchored import Anchored
from jax_mdpo.objectives.bco import BCO
from jax_mdpo.objectives.changed import Changed
from jax_mdpo.objectives.chip import CHiP
from jax_mdpo.objectives.conditional import Conditional
from jax_mdpo.objectives.dpo import DPO
from jax_mdpo.objectives.dpop import DPOP
from jax_mdpo.objectives.margin_consistency import MarginConsistency
from jax_mdpo.objectives.orpo import ORPO
from jax_mdpo.objectives.pointwise import Pointwise
from jax_mdpo.objectives.preference import Preference
from jax_mdpo.objectives.sft import SFT
from jax_mdpo.objectives.simpo import SimPO
from jax_mdpo.objectives.tpo import TPO
from jax_mdpo.objectives.uncertainty import Uncertainty
from jax_mdpo.objectives.v_dpo import VDPO

TERMS = {
    "dpo": DPO,
    "conditional": Conditional,
    "anchored": Anchored,
    "dpop": DPOP,
    "pointwise": Pointwise,
    "simpo": SimPO,
    "orpo": ORPO,
    "bco": BCO,
    "sft": SFT,
    "preference": Preference,
    "margin_consistency": MarginConsistency,
    "chip": CHiP,
    "tpo": TPO,
    "v_dpo": VDPO,
}
WEIGHTINGS = {"uncertainty": Uncertainty, "changed": Changed}
