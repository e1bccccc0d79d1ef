"""Strengths and angles as they are drawn, and what they do to pixels."""

import numpy as np
import pytest
from PIL import Image

from jax_mdpo.data.hard_negatives import Blur, Rotation


@pytest.mark.parametrize(("width", "height"), [(336, 336), (100, 400), (400, 100)])
def test_the_blur_is_a_share_of_the_shorter_side(width, height, rngs, assert_uniform):
    drawn = [Blur(radius=(0.05, 0.2)).deviation(width, height, rng) for rng in rngs(1000)]
    assert_uniform(drawn, 0.05 * min(width, height), 0.2 * min(width, height))


@pytest.mark.parametrize("share", [0.02, 0.05, 0.08])
def test_an_edge_is_smeared_into_a_normal_distribution_of_that_width(share, alone, rngs):
    """The slope of a blurred edge is the blur's kernel. Pillow approximates a Gaussian by boxes, and pixels are rounded: 3 %."""
    pixels = np.zeros((200, 200, 3), np.uint8)
    pixels[:, 100:] = 255
    made = np.asarray(Blur(radius=(share, share))(Image.fromarray(pixels), *rngs(1), alone)).astype(float)
    slope = np.diff(made[100, :, 0]) / 255
    places = np.arange(199) + 0.5 - 99.5
    assert slope.sum() == 1 and abs((slope * places).sum()) < 0.5
    assert np.sqrt((slope * places**2).sum()) == pytest.approx(200 * share, rel=0.03)


def test_nothing_is_to_be_blurred_in_one_colour(alone, rngs):
    plain = Image.new("RGB", (24, 30), (7, 200, 33))
    assert Blur()(plain, *rngs(1), alone).tobytes() == plain.tobytes()


@pytest.mark.parametrize("radius", [(0.0, 0.1), (0.2, 0.1), (0.1, 1.5)])
def test_impossible_blurs_are_refused(radius):
    with pytest.raises(ValueError, match=r"^radius must be a range"):
        Blur(radius=radius)


def test_quarters_are_equally_likely(rngs, assert_rate):
    drawn = [Rotation().degrees(rng) for rng in rngs(3000)]
    assert set(drawn) == {90, 180, 270}
    for angle in set(drawn):
        assert_rate(drawn.count(angle), 3000, 1 / 3)


def test_angles_are_uniform(rngs, assert_uniform):
    assert_uniform([Rotation(angle=(-30.0, 60.0)).degrees(rng) for rng in rngs(1000)], -30, 60)


@pytest.mark.parametrize("turns", [0, 1, 2, 3, 4])
@pytest.mark.parametrize("side", [24, 25])
def test_quarters_of_a_square_lose_nothing(turns, side, noise, alone, rngs):
    angle = (90.0 * turns, 90.0 * turns)
    made = np.asarray(Rotation(angle=angle)(noise(side, side), *rngs(1), alone))
    assert np.array_equal(made, np.rot90(np.asarray(noise(side, side)), turns))


def test_half_turns_of_any_image_lose_nothing(noise, alone, rngs):
    made = np.asarray(Rotation(angle=(180.0, 180.0))(noise(40, 8), *rngs(1), alone))
    assert np.array_equal(made, np.asarray(noise(40, 8))[::-1, ::-1])


@pytest.mark.parametrize(("fill", "colour"), [("black", 0), ("grey", 128), ("mean", 200)])
def test_uncovered_corners_are_filled(fill, colour, alone, rngs):
    """A square turned by 45° reaches (√2 − 1) · side / 2 less far into a corner, along the diagonal: 8.3 of 40 pixels."""
    made = np.asarray(Rotation(angle=(45.0, 45.0), fill=fill)(Image.new("RGB", (40, 40), (200, 200, 200)), *rngs(1), alone))
    for y, x in [(0, 0), (0, -1), (-1, 0), (-1, -1), (3, 3)]:
        assert (made[y, x] == colour).all()
    assert (made[10:30, 10:30] == 200).all()


def test_a_quarter_of_a_wide_image_shows_its_middle_upright(alone, rngs):
    """Twelve columns of 20 rows, black but for the middle eight columns: the turned middle fills the frame's height, beside it is fill."""
    pixels = np.zeros((8, 40, 3), np.uint8)
    pixels[:, 16:24] = 255
    made = np.asarray(Rotation(angle=(90.0, 90.0), fill="grey")(Image.fromarray(pixels), *rngs(1), alone))
    assert (made[:, 16:24] == 255).all() and (made[:, :15] == 128).all() and (made[:, 25:] == 128).all()


@pytest.mark.parametrize("angle", [(10.0, 5.0), (-400.0, 0.0), (0.0, float("nan"))])
def test_impossible_angles_are_refused(angle):
    with pytest.raises(ValueError, match=r"^angle must be"):
        Rotation(angle=angle)
