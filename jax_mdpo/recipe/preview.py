"""What the trainer will see, drawn before it runs."""

from pathlib import Path

import numpy as np

from jax_mdpo.core.seeds import generator
from jax_mdpo.core.views import CLEAN, NEGATIVE
from jax_mdpo.data.dataset import PairDataset
from jax_mdpo.models.families import family_of
from jax_mdpo.recipe.parts import images_of, variants_of
from jax_mdpo.recipe.settings import RunSettings
from jax_mdpo.report.cards import Card
from jax_mdpo.report.contact_sheet import write_sheet
from jax_mdpo.weights.hub import resolve

LABELS = {CLEAN: "image", NEGATIVE: "hard negative"}


def preview(settings: RunSettings, out: str | Path, *, count: int = 8) -> Path:
    """A contact sheet of `count` pairs of the data set, their hard negatives as of epoch 0, and the final texts. No model is loaded."""
    folder = resolve(settings.model.path, settings.model.revision)
    data = PairDataset.open(settings.data, family_of(folder).processor(folder))
    chosen = np.sort(generator(settings.seed, "preview").permutation(len(data))[:count])
    write_sheet([_card(data, int(place), settings) for place in chosen], Path(out))
    return Path(out)


def _card(data: PairDataset, place: int, settings: RunSettings) -> Card:
    seen = data.pair(place, variants=variants_of(settings, images_of(settings)))
    return Card(
        id=seen.id,
        prompt=seen.prompt,
        chosen=seen.chosen,
        rejected=seen.rejected,
        images={LABELS.get(variant, variant): image for variant, image in seen.images.items()},
        notes=(f"{seen.prompt_tokens} prompt tokens", f"{seen.chosen_tokens} chosen", f"{seen.rejected_tokens} rejected"),
    )
