"""Every variant of a record's image as pictures: as the tower takes it in and the decoder sees its tokens."""

from dataclasses import dataclass, fields, is_dataclass
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np
from flax import nnx
from PIL import Image

from jax_mdpo.core.views import BLANK, CLEAN, NEGATIVE, NOISED, OTHER
from jax_mdpo.data.dataset import Preview
from jax_mdpo.data.hard_negatives import Crop
from jax_mdpo.data.variants import Draw, Variants, on_device
from jax_mdpo.models.images import corrupted, visible
from jax_mdpo.models.protocol import VisionLanguageModel
from jax_mdpo.recipe import naming

WORDS = {CLEAN: "image", NEGATIVE: "hard negative", NOISED: "noised image", BLANK: "black image", OTHER: "another record's image"}
HIDDEN = np.array([128, 128, 128], np.float32)  # the colour of what the decoder does not see
VEIL = 0.9  # how much of it covers a hidden token's part of the image

Box = tuple[int, int, int, int]  # left, top, right, bottom, in pixels


class Picture(NamedTuple):
    """maker: what made it, where anything did. box: the part of the record's own image that it shows, where that is known."""

    image: Image.Image
    maker: Any = None
    box: Box | None = None

    @property
    def made_by(self) -> str:
        """The maker's name in a configuration; empty for the record's own image."""
        if self.maker is None:
            return ""
        return naming.plain(self.maker, "hard_negative")["name"] if is_dataclass(self.maker) else type(self.maker).__name__

    @property
    def settings(self) -> str:
        """The maker's settings, as in a configuration: "area: 0.01, 0.2"."""
        if not is_dataclass(self.maker):
            return ""
        return "; ".join(f"{one.name.replace('_', ' ')} {_in_words(getattr(self.maker, one.name))}" for one in fields(self.maker))


@dataclass(frozen=True)
class Eye:
    """How a model takes an image in. module: it normalises, and its weights are never there. boxes: what each image token stands for."""

    module: VisionLanguageModel
    boxes: tuple[Box | None, ...]

    @classmethod
    def of(cls, family: Any, config: Any) -> "Eye":
        """From a family and its configuration."""
        return cls(nnx.eval_shape(lambda: family.build(config, rngs=nnx.Rngs(0))), family.token_boxes(config))

    def show(self, framed: Image.Image, words: np.ndarray, corruptions: Any) -> Image.Image:
        """The image as the device's corruption leaves it: its pixels, clipped to what a screen has, and hidden tokens greyed."""
        raw = np.asarray(framed)
        ends = np.stack([np.zeros_like(raw), np.full_like(raw, 255)])
        black, white = np.asarray(self.module.normalise(jnp.asarray(ends)))
        draws = jnp.asarray(words)[None, None]
        pixels = corrupted(self.module.normalise(jnp.asarray(raw)[None])[None], draws, corruptions)
        shown = np.clip((np.asarray(pixels[0, 0]) - black) / (white - black), 0.0, 1.0) * 255
        seen = visible(len(self.boxes), draws, corruptions)
        hidden = () if seen is None else np.flatnonzero(~np.asarray(seen[0, 0]))
        for left, top, right, bottom in (box for box in (self.boxes[token] for token in hidden) if box is not None):
            shown[top:bottom, left:right] = (1 - VEIL) * shown[top:bottom, left:right] + VEIL * HIDDEN
        return Image.fromarray(np.rint(shown).astype(np.uint8), "RGB")


def pictures(seen: Preview, variants: Variants, eye: Eye, *, epoch: int = 0) -> dict[str, Picture]:
    """The wanted variants of a record's image in an epoch, by variant; none where the record is text only."""
    if not seen.images:
        return {}
    return {variant: _picture(seen, variant, variants, eye, epoch) for variant in variants.wanted}


def _picture(seen: Preview, variant: str, variants: Variants, eye: Eye, epoch: int) -> Picture:
    held = seen.images.get(variant, seen.images.get(CLEAN))
    assert held is not None, "what the device makes, it makes from the clean image"
    if variant not in variants.made:
        return Picture(held)
    draw = variants.draw(variant, seen.id, epoch)
    on_the_device = on_device(variants.makers[variant])
    if draw.words[0] in on_the_device:
        held = eye.show(held, draw.words, on_the_device)
    return Picture(held, draw.maker, _box(draw, held))


def _box(draw: Draw, image: Image.Image) -> Box | None:
    return draw.maker.box(image.width, image.height, draw.rng) if isinstance(draw.maker, Crop) else None


def _in_words(value: Any) -> str:
    if isinstance(value, tuple):
        return "–".join(map(_in_words, value))
    return f"{value:.3g}" if isinstance(value, float) else str(value)
