"""Terms by the name that a configuration uses."""

from jax_mdpo.objectives.anchored import Anchored
from jax_mdpo.objectives.conditional import Conditional
from jax_mdpo.objectives.dpo import DPO

TERMS = {"dpo": DPO, "conditional": Conditional, "anchored": Anchored}
