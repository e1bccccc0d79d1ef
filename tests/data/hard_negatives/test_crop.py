"""The crop's distribution, size and pixels."""

import numpy as np
import pytest
from PIL import Image

from jax_mdpo.core.seeds import generator
from jax_mdpo.data.hard_negatives import Crop


def boxes(crop: Crop, width: int, height: int, count: int = 4000) -> np.ndarray:
    return np.array([crop.box(width, height, generator(0, "crop", number)) for number in range(count)])


def test_area_aspect_and_place_follow_their_distributions(assert_uniform):
    """Sides are rounded to pixels of 2000."""
    left, top, right, bottom = boxes(Crop(), 2000, 2000).T
    width, height = right - left, bottom - top
    share = width * height / 2000**2
    assert_uniform(share, 0.01, 0.2)
    assert_uniform(np.log(width / height), np.log(3 / 4), np.log(4 / 3))
    assert_uniform(left / (2000 - width), 0, 1)
    assert_uniform(top / (2000 - height), 0, 1)
    assert abs(np.corrcoef(share, np.log(width / height))[0, 1]) < 4 / np.sqrt(len(left))


@pytest.mark.parametrize(("width", "height"), [(336, 336), (400, 8), (3, 700), (1, 1)])
@pytest.mark.parametrize("area", [(0.01, 0.2), (0.9, 1.0)])
def test_boxes_lie_inside_and_keep_to_the_area(width, height, area):
    left, top, right, bottom = boxes(Crop(area=area), width, height, count=200).T
    assert left.min() >= 0 and top.min() >= 0 and right.max() <= width and bottom.max() <= height
    assert (right > left).all() and (bottom > top).all()
    if min(width, height) > 1:  # rounding to whole pixels adds at most half a pixel to a side
        assert (((right - left - 0.5) * (bottom - top - 0.5)) <= area[1] * width * height).all()


def test_the_crop_is_the_boxs_own_pixels_enlarged(alone):
    """One black square in a white image: a crop inside it holds no trace of its surroundings."""
    pixels = np.full((100, 100, 3), 255, np.uint8)
    crop = Crop(area=(0.04, 0.04), aspect=(1.0, 1.0))
    left, top, right, bottom = crop.box(100, 100, generator(0, "x"))
    pixels[top:bottom, left:right] = 0
    made = crop(Image.fromarray(pixels), generator(0, "x"), alone)
    assert (right - left, bottom - top) == (20, 20) and made.size == (100, 100) and not np.asarray(made).any()


def test_the_same_seed_gives_the_same_pixels(alone, noise):
    made = [
        np.asarray(Crop()(noise(40, 40), generator(3, "hard_negative", id, epoch), alone)) for id, epoch in (("a", 0), ("a", 0), ("a", 1))
    ]
    assert np.array_equal(made[0], made[1]) and not np.array_equal(made[0], made[2])


@pytest.mark.parametrize("fields", [{"area": (0.0, 0.2)}, {"area": (0.3, 0.2)}, {"area": (0.1, 1.1)}, {"aspect": (2.0, 1.0)}])
def test_impossible_settings_are_refused(fields):
    with pytest.raises(ValueError, match="least <= greatest"):
        Crop(**fields)
