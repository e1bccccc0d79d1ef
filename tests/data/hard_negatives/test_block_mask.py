"""Rectangles: together of the area asked for, apart from each other, and nothing else is touched."""

import numpy as np
import pytest

from jax_mdpo.data.hard_negatives import BlockMask


def covered(boxes: list, width: int, height: int) -> np.ndarray:
    """How many of the boxes each pixel lies in."""
    count = np.zeros((height, width), int)
    for left, top, right, bottom in boxes:
        assert 0 <= left < right <= width and 0 <= top < bottom <= height
        count[top:bottom, left:right] += 1
    return count


def test_one_rectangles_area_aspect_and_place_follow_their_distributions(rngs, assert_uniform):
    """Areas at which no rectangle needs another aspect to fit: 0.3 · 2000 pixels long at most."""
    mask = BlockMask(area=(0.05, 0.3), blocks=(1, 1))
    left, top, right, bottom = np.array([mask.boxes(2000, 2000, rng)[0] for rng in rngs(2000)]).T
    width, height = right - left, bottom - top
    assert_uniform(width * height / 2000**2, 0.05, 0.3)
    assert_uniform(np.log(width / height), np.log(0.3), np.log(1 / 0.3))
    assert_uniform(left / (2000 - width), 0, 1)
    assert_uniform(top / (2000 - height), 0, 1)


@pytest.mark.parametrize("size", [(336, 336), (400, 30), (24, 200)])
def test_several_cover_together_the_area_that_is_drawn(size, rngs, assert_uniform, assert_rate):
    """Rounding a rectangle to whole pixels, one side after the other, costs half of its first side at most."""
    width, height = size
    drawn = [BlockMask(area=(0.3, 0.9), blocks=(1, 5)).boxes(width, height, rng) for rng in rngs(600)]
    shares = [float(np.random.Generator.uniform(rng, 0.3, 0.9)) for rng in rngs(600)]  # the first number that each draws
    for boxes, share in zip(drawn, shares, strict=True):
        count = covered(boxes, width, height)
        assert count.max() == 1
        assert abs(count.sum() - share * width * height) <= sum((right - left) / 2 for left, _, right, _ in boxes) + 1e-6
    for number in range(1, 6):
        assert_rate(sum(len(boxes) == number for boxes in drawn), 600, 1 / 5)


@pytest.mark.parametrize("size", [(24, 24), (37, 25), (400, 8), (3, 70), (2, 1), (1, 1)])
@pytest.mark.parametrize("blocks", [(1, 1), (4, 4), (9, 9)])
def test_extremes_cover_all_pixels_or_one_of_each_cell(size, blocks, rngs):
    for rng in rngs(20):
        assert (covered(BlockMask(area=(1.0, 1.0), blocks=blocks).boxes(*size, rng), *size) == 1).all()
        least = covered(BlockMask(area=(1e-9, 1e-9), blocks=blocks).boxes(*size, rng), *size)
        assert least.max() == 1 and least.sum() == min(blocks[0], size[0] * size[1])


@pytest.mark.parametrize(("fill", "colour"), [("black", (0, 0, 0)), ("grey", (128, 128, 128)), ("mean", None)])
def test_only_the_rectangles_are_painted(fill, colour, scenes, alone, rngs):
    image = np.asarray(scenes[0])
    mask = BlockMask(fill=fill)
    boxes, made = mask.boxes(96, 96, *rngs(1)), np.asarray(mask(scenes[0], *rngs(1), alone))
    hidden = covered(boxes, 96, 96).astype(bool)
    assert np.array_equal(made[~hidden], image[~hidden])
    assert (made[hidden] == (np.rint(image.mean((0, 1))) if colour is None else colour)).all()


@pytest.mark.parametrize(
    ("fields", "message"),
    [({"area": (0.0, 0.5)}, "area"), ({"area": (0.5, 1.5)}, "area"), ({"aspect": (2.0, 1.0)}, "aspect"), ({"blocks": (0, 2)}, "blocks"),
     ({"blocks": (3, 2)}, "blocks")],
)  # fmt: skip
def test_impossible_settings_are_refused(fields, message):
    with pytest.raises(ValueError, match=f"^{message} must be a range"):
        BlockMask(**fields)
