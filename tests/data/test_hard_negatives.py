"""The crop's distribution, size and pixels; the record's own rejected image is tested with the pipeline."""

import numpy as np
import pytest
from PIL import Image

from jax_mdpo.core.seeds import generator
from jax_mdpo.data.hard_negatives import HARD_NEGATIVES, Crop


class NoCorpus:
    index = 0

    def __len__(self):
        return 0

    def image(self, index):
        raise AssertionError("a crop needs no other image")

    def rejected_image(self):
        raise AssertionError("a crop needs no rejected image")


def boxes(crop: Crop, width: int, height: int, count: int = 4000) -> np.ndarray:
    return np.array([crop.box(width, height, generator(0, "crop", number)) for number in range(count)])


def test_area_aspect_and_place_follow_their_distributions():
    """Kolmogorov-Smirnov distances below 1.63/√n, the 1 % bound, with 4000 draws at fixed seeds and sides rounded to pixels of 2000."""
    left, top, right, bottom = boxes(Crop(), 2000, 2000).T
    width, height = right - left, bottom - top
    bound = 1.63 / np.sqrt(len(left))
    share = width * height / 2000**2
    assert distance(share, 0.01, 0.2) < bound
    assert distance(np.log(width / height), np.log(3 / 4), np.log(4 / 3)) < bound
    assert distance(left / (2000 - width), 0, 1) < bound and distance(top / (2000 - height), 0, 1) < bound
    assert abs(np.corrcoef(share, np.log(width / height))[0, 1]) < 4 / np.sqrt(len(left))


def distance(values: np.ndarray, low: float, high: float) -> float:
    """The Kolmogorov-Smirnov distance of `values` to the uniform distribution."""
    expected = np.clip((np.sort(values) - low) / (high - low), 0, 1)
    steps = np.arange(len(values) + 1) / len(values)
    return float(max(np.max(steps[1:] - expected), np.max(expected - steps[:-1])))


@pytest.mark.parametrize(("width", "height"), [(336, 336), (400, 8), (3, 700), (1, 1)])
@pytest.mark.parametrize("area", [(0.01, 0.2), (0.9, 1.0)])
def test_boxes_lie_inside_and_keep_to_the_area(width, height, area):
    left, top, right, bottom = boxes(Crop(area=area), width, height, count=200).T
    assert left.min() >= 0 and top.min() >= 0 and right.max() <= width and bottom.max() <= height
    assert (right > left).all() and (bottom > top).all()
    if min(width, height) > 1:  # rounding to whole pixels adds at most half a pixel to a side
        assert (((right - left - 0.5) * (bottom - top - 0.5)) <= area[1] * width * height).all()


def test_the_crop_is_the_boxs_own_pixels_enlarged():
    """One black square in a white image: a crop inside it holds no trace of its surroundings."""
    pixels = np.full((100, 100, 3), 255, np.uint8)
    crop = Crop(area=(0.04, 0.04), aspect=(1.0, 1.0))
    left, top, right, bottom = crop.box(100, 100, generator(0, "x"))
    pixels[top:bottom, left:right] = 0
    made = crop(Image.fromarray(pixels), generator(0, "x"), NoCorpus())
    assert (right - left, bottom - top) == (20, 20) and made.size == (100, 100) and not np.asarray(made).any()


def test_the_same_seed_gives_the_same_pixels():
    noise = Image.fromarray(np.random.default_rng(0).integers(0, 256, (40, 40, 3), np.uint8))
    made = [np.asarray(Crop()(noise, generator(3, "hard_negative", id, epoch), NoCorpus())) for id, epoch in (("a", 0), ("a", 0), ("a", 1))]
    assert np.array_equal(made[0], made[1]) and not np.array_equal(made[0], made[2])


@pytest.mark.parametrize("fields", [{"area": (0.0, 0.2)}, {"area": (0.3, 0.2)}, {"area": (0.1, 1.1)}, {"aspect": (2.0, 1.0)}])
def test_impossible_settings_are_refused(fields):
    with pytest.raises(ValueError, match="least <= greatest"):
        Crop(**fields)


def test_the_registry_names_what_can_be_chosen():
    assert set(HARD_NEGATIVES) == {"crop", "rejected_image"}
