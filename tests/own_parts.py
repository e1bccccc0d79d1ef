"""A module as a user would write it beside a configuration: a term with a running value, and a hard negative."""

from pathlib import Path

PARTS = '''
import jax.numpy as jnp
from PIL import Image, ImageOps
from jax_mdpo.core.config import config
from jax_mdpo.core.views import CHOSEN, CLEAN, NEGATIVE, View, log_ratio_needs
from jax_mdpo.objectives.term import Outcome

VIEWS = View(CLEAN, CHOSEN), View(NEGATIVE, CHOSEN)


@config
class Squared:
    """(log-ratio on the true image − log-ratio on the negative − margin)², whose running mean it keeps."""

    label = "squared"
    margin: float = 1.0
    weight: float = 2.0

    def needs(self):
        return log_ratio_needs(*VIEWS)

    def __call__(self, views):
        true, negative = (views.log_ratio(view) for view in VIEWS)
        loss = (true - negative - self.margin) ** 2
        remembered = jnp.full_like(loss, views.memory["squared"]["total"])
        return Outcome(loss, {"squared/loss": loss, "squared/before": remembered})

    def start(self):
        return {"total": 0.0}

    def remember(self, memory, metrics):
        return {"total": memory["total"] + metrics["squared/loss"]}


@config
class Mirror:
    """The image's other hand."""

    upside_down: bool = False

    def __call__(self, image, rng, corpus):
        return ImageOps.flip(image) if self.upside_down else ImageOps.mirror(image)
'''


def write_own_parts(folder: Path) -> None:
    """Writes my_parts.py; whoever imports it puts `folder` on the Python path."""
    (folder / "my_parts.py").write_text(PARTS)
