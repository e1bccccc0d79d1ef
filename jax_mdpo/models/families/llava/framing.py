"""The geometry of a Hugging Face image processor, by Pillow alone: what works on every image of a run is a few calls."""

from typing import Any

import numpy as np
from PIL import Image

from jax_mdpo.core.config import config
from jax_mdpo.core.errors import WeightsError

Size = tuple[int, int]  # width, height
PROBES = ((61, 40), (40, 61), (50, 50), (1, 3))  # width, height of the images on which the two are compared


@config
class Framing:
    """Pad to a square, resize, crop the centre: each where set. Works on uint8 RGB, as Pillow resizes it.

    pad: colour of the square's margins. shortest_edge or size: what the image is resized to. crop: the window cut from its centre.
    """

    pad: tuple[int, int, int] | None = None
    shortest_edge: int | None = None
    size: Size | None = None
    resample: int = int(Image.Resampling.BICUBIC)
    crop: Size | None = None

    def __call__(self, image: Image.Image) -> Image.Image:
        if self.pad is not None:
            image = _pad_to_square(image, self.pad)
        size = self.size if self.shortest_edge is None else _shortest_edge_size(image, self.shortest_edge)
        if size is not None:  # also where the size is already right: transformers resamples then too
            image = _resize(image, size, Image.Resampling(self.resample), self.crop)
        return image if self.crop is None else _crop_centre(image, self.crop)


def _mean_colour(processor: Any) -> tuple[int, int, int]:
    red, green, blue = (int(255 * part) for part in processor.image_mean)
    return red, green, blue


def read_framing(processor: Any) -> Framing:
    """The geometry of a transformers image processor (PIL backend).

    Compares the two on images of noise, pixel for pixel, and raises WeightsError where this geometry is not that processor's.
    """
    size, crop = processor.size, processor.crop_size
    shortest = size.shortest_edge if processor.do_resize else None
    framing = Framing(
        pad=_mean_colour(processor) if getattr(processor, "do_pad", False) else None,
        shortest_edge=shortest,
        size=(size.width, size.height) if processor.do_resize and not shortest else None,
        resample=int(processor.resample),
        crop=(crop.width, crop.height) if processor.do_center_crop else None,
    )
    for width, height in PROBES:
        noise = np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8)
        image = Image.fromarray(noise)
        pixels = processor(image, do_rescale=False, do_normalize=False, return_tensors="np")["pixel_values"][0]
        if not np.array_equal(np.moveaxis(pixels, 0, -1), np.asarray(framing(image))):
            raise WeightsError(
                f"the checkpoint's image processor {type(processor).__name__} is not one this program knows",
                expected="resize, centre crop, or padding to a square",
                got=str(framing),
            )
    return framing


def _pad_to_square(image: Image.Image, colour: tuple[int, int, int]) -> Image.Image:
    side = max(image.size)
    square = Image.new("RGB", (side, side), colour)
    square.paste(image, ((side - image.width) // 2, (side - image.height) // 2))
    return square


def _shortest_edge_size(image: Image.Image, edge: int) -> Size:
    short, long = sorted(image.size)
    longer = int(edge * long / short)
    return (edge, longer) if image.width <= image.height else (longer, edge)


def _resize(image: Image.Image, size: Size, resample: Image.Resampling, crop: Size | None) -> Image.Image:
    """`image` at `size`, less the columns that the crop will drop.

    Pillow resizes along the rows first and then, from those 8-bit pixels, along the columns. Calling it for each direction gives the
    same pixels, and lets the crop take the columns that nobody sees before they are resized.
    """
    width, height = size
    if crop is None or crop[0] >= width:
        return image.resize(size, resample)
    rows = _crop_centre(image.resize((width, image.height), resample), (crop[0], image.height))
    return rows.resize((crop[0], height), resample)


def _crop_centre(image: Image.Image, size: Size) -> Image.Image:
    """The centre of the image, black beyond its edges. Half pixels go up and left, as transformers rounds them."""
    if image.size == size:
        return image
    width, height = size
    left, top = (image.width - width) // 2, (image.height - height) // 2
    return image.crop((left, top, left + width, top + height))
