"""What the trainer will see, drawn before it runs."""

from pathlib import Path

import numpy as np

from jax_mdpo.core.seeds import generator
from jax_mdpo.core.views import NONE
from jax_mdpo.data.dataset import PairDataset
from jax_mdpo.data.hard_negatives import Mixture
from jax_mdpo.data.variants import Variants
from jax_mdpo.models.families import family_of
from jax_mdpo.recipe.parts import images_of, variants_of
from jax_mdpo.recipe.pictures import WORDS, Eye, pictures
from jax_mdpo.recipe.settings import RunSettings
from jax_mdpo.report.cards import Card
from jax_mdpo.report.contact_sheet import write_sheet
from jax_mdpo.weights.hub import resolve


def preview(settings: RunSettings, out: str | Path, *, count: int = 8) -> Path:
    """A contact sheet of `count` pairs of the data set: every image variant that the terms read, as of epoch 0, and the final texts.

    No model is loaded, and no weights are fetched.
    """
    folder = resolve(settings.model.path, settings.model.revision, weights=False)
    family = family_of(folder)
    processor = family.processor(folder)
    data = PairDataset.open(settings.data, processor)
    variants = variants_of(settings, images_of(settings))
    eye = Eye.of(family, family.configuration(folder, processor))
    chosen = np.sort(generator(settings.seed, "preview").permutation(len(data))[:count])
    unseen = ("some terms hide the image",) if any(need.view.image == NONE for need in settings.needs) else ()
    write_sheet([_card(data, int(place), variants, eye, unseen) for place in chosen], Path(out))
    return Path(out)


def _card(data: PairDataset, place: int, variants: Variants, eye: Eye, notes: tuple[str, ...]) -> Card:
    seen = data.pair(place, variants=variants)
    images = {}
    for variant, picture in pictures(seen, variants, eye).items():
        mixed = isinstance(variants.makers.get(variant), Mixture)
        images[f"{WORDS[variant]} ({picture.made_by})" if mixed else WORDS[variant]] = picture.image
    counts = (f"{seen.prompt_tokens} prompt tokens", f"{seen.chosen_tokens} chosen", f"{seen.rejected_tokens} rejected")
    return Card(id=seen.id, prompt=seen.prompt, chosen=seen.chosen, rejected=seen.rejected, images=images, notes=(*counts, *notes))
