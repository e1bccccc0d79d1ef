"""MoCo's augmentation: how often each part happens, how strongly, and what it does to pixels."""

import itertools

import numpy as np
import pytest
from PIL import Image

from jax_mdpo.data.hard_negatives import Crop, Moco
from jax_mdpo.data.hard_negatives.moco import ADJUSTMENTS

DRAWS = 3000
NOTHING = {"area": (1.0, 1.0), "aspect": (1.0, 1.0), "jitter_chance": 0.0, "grey_chance": 0.0, "blur_chance": 0.0, "flip_chance": 0.0}


@pytest.fixture(scope="module")
def drawn(rngs) -> list:
    return [Moco().draw(224, 224, rng) for rng in rngs(DRAWS)]


def test_parts_happen_as_often_as_published(drawn, assert_rate):
    assert_rate(sum(bool(one.jitter) for one in drawn), DRAWS, 0.8)
    assert_rate(sum(one.grey for one in drawn), DRAWS, 0.2)
    assert_rate(sum(one.blur is not None for one in drawn), DRAWS, 0.5)
    assert_rate(sum(one.flip for one in drawn), DRAWS, 0.5)
    assert_rate(sum(one.grey and one.flip and one.blur is not None for one in drawn), DRAWS, 0.2 * 0.5 * 0.5)


def test_strengths_follow_their_distributions(drawn, assert_uniform):
    amounts = [dict(one.jitter) for one in drawn if one.jitter]
    for name, low, high in (("brightness", 0.6, 1.4), ("contrast", 0.6, 1.4), ("saturation", 0.6, 1.4), ("hue", -0.1, 0.1)):
        assert_uniform([amount[name] for amount in amounts], low, high)
    assert_uniform([one.blur for one in drawn if one.blur is not None], 0.1, 2.0)


def test_colours_change_in_every_order(drawn, assert_rate):
    orders = [tuple(name for name, _ in one.jitter) for one in drawn if one.jitter]
    for order in itertools.permutations(("brightness", "contrast", "saturation", "hue")):
        assert_rate(orders.count(order), len(orders), 1 / 24)


def test_the_box_is_a_crop_of_its_area_and_aspect(drawn, rngs):
    assert [one.box for one in drawn[:50]] == [Crop(area=(0.2, 1.0)).box(224, 224, rng) for rng in rngs(50)]


def test_the_blur_grows_with_the_image(rngs):
    small, large = ([Moco().draw(side, side, rng).blur for rng in rngs(200)] for side in (224, 448))
    blurred = [(a, b) for a, b in zip(small, large, strict=True) if a is not None and b is not None]
    assert len(blurred) > 50  # boxes of other sizes take other draws where a first one does not fit
    assert max(b for _, b in blurred) > 2.0 and all(0.2 <= b <= 4.0 for _, b in blurred)


def test_without_any_part_the_image_stays(scenes, alone, rngs):
    assert Moco(**NOTHING)(scenes[0], *rngs(1), alone).tobytes() == scenes[0].tobytes()


def test_a_flip_is_a_mirror(scenes, alone, rngs):
    made = Moco(**NOTHING | {"flip_chance": 1.0})(scenes[0], *rngs(1), alone)
    assert np.array_equal(np.asarray(made), np.asarray(scenes[0])[:, ::-1])


def test_grey_is_the_luma_of_each_pixel(scenes, alone, rngs):
    """ITU-R 601: 0.299 red, 0.587 green, 0.114 blue."""
    made = np.asarray(Moco(**NOTHING | {"grey_chance": 1.0})(scenes[0], *rngs(1), alone))
    assert (made == made[..., :1]).all()
    assert np.abs(made[..., 0] - np.asarray(scenes[0]) @ [0.299, 0.587, 0.114]).max() <= 0.51


def test_a_crop_alone_is_resized_bilinearly(scenes, alone, rngs):
    made = Moco(**NOTHING | {"area": (0.2, 0.5)})(scenes[0], *rngs(1), alone)
    box = Crop(area=(0.2, 0.5), aspect=(1.0, 1.0)).box(96, 96, *rngs(1))
    assert np.array_equal(np.asarray(made), np.asarray(scenes[0].crop(box).resize((96, 96), Image.Resampling.BILINEAR)))


def test_adjustments_as_arithmetic():
    """On two pixels of grey levels 40 and 120: brightness scales, contrast stretches around the mean (80), saturation leaves grey alone."""
    image = Image.fromarray(np.array([[[40] * 3, [120] * 3]], np.uint8))
    assert np.asarray(ADJUSTMENTS["brightness"](image, 1.25))[0, :, 0].tolist() == [50, 150]
    assert np.asarray(ADJUSTMENTS["contrast"](image, 0.5))[0, :, 0].tolist() == [60, 100]
    assert np.asarray(ADJUSTMENTS["saturation"](image, 0.2)).tolist() == np.asarray(image).tolist()
    red = Image.new("RGB", (1, 1), (200, 0, 0))
    assert np.asarray(ADJUSTMENTS["saturation"](red, 0.0))[0, 0].tolist() == [round(0.299 * 200)] * 3


@pytest.mark.parametrize(
    ("turns", "wanted"), [(1 / 3, (0, 255, 0)), (-1 / 3, (0, 0, 255)), (0.5, (0, 255, 255)), (0.0, (255, 0, 0)), (1.0, (255, 0, 0))]
)
def test_hue_turns_the_colour_circle(turns, wanted):
    """In 256 steps, of which six sixths have 255 values each: a third of a turn misses by one step of 6 at most."""
    made = np.asarray(ADJUSTMENTS["hue"](Image.new("RGB", (1, 1), (255, 0, 0)), turns))[0, 0].astype(int)
    assert np.abs(made - wanted).max() <= 6


BAD = [
    {"area": (0.0, 1.0)},
    {"aspect": (2.0, 1.0)},
    {"blur": (0.0, 1.0)},
    {"brightness": 1.5},
    {"hue": 0.6},
    {"grey_chance": -0.1},
    {"flip_chance": float("nan")},
]


@pytest.mark.parametrize("fields", BAD)
def test_impossible_settings_are_refused(fields):
    (name,) = fields
    with pytest.raises(ValueError, match=f"^{name} must"):
        Moco(**fields)
