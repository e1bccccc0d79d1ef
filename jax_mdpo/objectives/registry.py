"""Terms and token weights by the names that a configuration uses."""

from jax_mdpo.objectives.anchored import Anchored
from jax_mdpo.objectives.conditional import Conditional
from jax_mdpo.objectives.dpo import DPO
from jax_mdpo.objectives.uncertainty import Uncertainty

TERMS = {"dpo": DPO, "conditional": Conditional, "anchored": Anchored}
WEIGHTINGS = {"uncertainty": Uncertainty}
