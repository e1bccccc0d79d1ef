"""The augmentation of MoCo v2, one of the hard negatives that mDPO's paper compares."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageEnhance, ImageFilter, ImageOps

from jax_mdpo.core.config import config
from jax_mdpo.data.hard_negatives.crop import Box, Crop
from jax_mdpo.data.hard_negatives.protocol import Corpus
from jax_mdpo.data.hard_negatives.ranges import Range, check_range, uniform

PUBLISHED_SIDE = 224  # pixels, of the images that MoCo's blur is given for


class Augmentation(NamedTuple):
    """What is done to one image, in this order. box: of the crop, in pixels. jitter: (name, factor or shift) in order of application,
    none where colours stay. grey: whether colours go. blur: standard deviation in pixels, None where sharp. flip: left to right.
    """

    box: Box
    jitter: tuple[tuple[str, float], ...]
    grey: bool
    blur: float | None
    flip: bool


@config
class Moco:
    """Random crop, colour jitter, grey, blur and flip, by chance and in this order.

    Defaults are those of MoCo v2 (Chen et al., arXiv 2003.04297) in its public code, facebookresearch/moco, `--aug-plus`:
    area, aspect: of the crop, which is resized bilinearly, as in crop.py: shares of the image, width / height.
    brightness, contrast, saturation: each factor is drawn uniformly from 1 - x to 1 + x. hue: a shift drawn uniformly from -x to x
    turns of the colour circle. The four come in random order. jitter_chance, grey_chance, blur_chance, flip_chance: of each happening.
    blur: least and greatest standard deviation in pixels of an image 224 pixels wide and high, drawn uniformly and scaled with the
    square root of the area, so that other sizes are blurred alike.
    One difference: where ten drawn boxes do not fit (images three times as long as wide, hardly ever square ones), torchvision takes
    the largest central crop of an allowed aspect, and this the last box, cut to the image.
    """

    area: Range = (0.2, 1.0)
    aspect: Range = (3 / 4, 4 / 3)
    brightness: float = 0.4
    contrast: float = 0.4
    saturation: float = 0.4
    hue: float = 0.1
    jitter_chance: float = 0.8
    grey_chance: float = 0.2
    blur: Range = (0.1, 2.0)
    blur_chance: float = 0.5
    flip_chance: float = 0.5

    def __post_init__(self) -> None:
        Crop(area=self.area, aspect=self.aspect)  # checks both
        check_range("blur", self.blur)
        limits = {"brightness": 1, "contrast": 1, "saturation": 1, "hue": 0.5}
        limits |= dict.fromkeys(("jitter_chance", "grey_chance", "blur_chance", "flip_chance"), 1)
        for name, limit in limits.items():
            if not 0 <= getattr(self, name) <= limit:
                raise ValueError(f"{name} must lie between 0 and {limit}, got {getattr(self, name)}")

    def __call__(self, image: Image.Image, rng: np.random.Generator, corpus: Corpus) -> Image.Image:
        drawn = self.draw(image.width, image.height, rng)
        made = image.crop(drawn.box).resize(image.size, Image.Resampling.BILINEAR)
        for name, amount in drawn.jitter:
            made = ADJUSTMENTS[name](made, amount)
        if drawn.grey:
            made = made.convert("L").convert("RGB")
        if drawn.blur is not None:
            made = made.filter(ImageFilter.GaussianBlur(drawn.blur))
        return ImageOps.mirror(made) if drawn.flip else made

    def draw(self, width: int, height: int, rng: np.random.Generator) -> Augmentation:
        """A random augmentation of an image of the given size in pixels."""
        scale = (width * height) ** 0.5 / PUBLISHED_SIDE
        return Augmentation(
            box=Crop(area=self.area, aspect=self.aspect).box(width, height, rng),
            jitter=self._jitter(rng) if rng.random() < self.jitter_chance else (),
            grey=rng.random() < self.grey_chance,
            blur=scale * uniform(self.blur, rng) if rng.random() < self.blur_chance else None,
            flip=rng.random() < self.flip_chance,
        )

    def _jitter(self, rng: np.random.Generator) -> tuple[tuple[str, float], ...]:
        amounts = [(name, 1 + rng.uniform(-1, 1) * getattr(self, name)) for name in ("brightness", "contrast", "saturation")]
        amounts.append(("hue", rng.uniform(-1, 1) * self.hue))
        return tuple(amounts[place] for place in rng.permutation(len(amounts)))


def _shift_hue(image: Image.Image, turns: float) -> Image.Image:
    """Turns the colour circle; Pillow counts its angle in 256 steps."""
    hue, saturation, value = image.convert("HSV").split()
    shift = round(256 * turns)
    turned = hue.point([(step + shift) % 256 for step in range(256)])
    return Image.merge("HSV", (turned, saturation, value)).convert("RGB")


ADJUSTMENTS: dict[str, Callable[[Image.Image, float], Image.Image]] = {
    "brightness": lambda image, factor: ImageEnhance.Brightness(image).enhance(factor),
    "contrast": lambda image, factor: ImageEnhance.Contrast(image).enhance(factor),
    "saturation": lambda image, factor: ImageEnhance.Color(image).enhance(factor),
    "hue": _shift_hue,
}
