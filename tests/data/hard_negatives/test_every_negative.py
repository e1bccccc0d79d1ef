"""What holds for all of them: size, mode, determinism, settings from plain values; and those that are too small for a file of their own."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from jax_mdpo.core.config import validate
from jax_mdpo.core.errors import ConfigError, RecordError
from jax_mdpo.core.records import Record
from jax_mdpo.core.seeds import generator
from jax_mdpo.data.hard_negatives import HARD_NEGATIVES, Black, Crop, RejectedImage, check, fingerprint
from jax_mdpo.data.hard_negatives.fills import colour, paint
from jax_mdpo.data.hard_negatives.grids import grid_of, spread
from jax_mdpo.data.hard_negatives.protocol import Checking, HardNegative
from jax_mdpo.data.hard_negatives.ranges import check_range, log_uniform

SIZES = [(24, 24), (37, 25), (400, 8), (3, 70), (1, 2), (1, 1)]
OF_THE_IMAGE = sorted(set(HARD_NEGATIVES) - {"mixture", "rejected_image", "other_image"})


@pytest.fixture(params=[*OF_THE_IMAGE, "other_image"])
def negative(request) -> HardNegative:
    return HARD_NEGATIVES[request.param]()


@pytest.fixture
def corpus(pictures, scenes):
    return pictures(scenes)


@pytest.mark.parametrize("size", SIZES)
def test_the_negative_has_the_images_size_and_leaves_the_image_alone(negative, size, noise, corpus, rngs):
    image = noise(*size)
    before = image.tobytes()
    for rng in rngs(5):
        made = negative(image, rng, corpus)
        assert made.size == size and made.mode == "RGB" and made is not image
    assert image.tobytes() == before


def test_equal_seeds_give_equal_pixels_and_others_differ(negative, scenes, corpus):
    def made(id: str, epoch: int) -> bytes:
        return negative(scenes[0], generator(3, "hard_negative", id, epoch), corpus).tobytes()

    drawn = [made(id, epoch) for id in "abcd" for epoch in (0, 1)]
    assert drawn == [made(id, epoch) for id in "abcd" for epoch in (0, 1)]
    assert all(pixels != scenes[0].tobytes() for pixels in drawn)
    assert len(set(drawn)) == 1 if isinstance(negative, Black) else len(set(drawn)) > 2


RANGES = {
    "crop": {"area": [0.2, 0.5]},
    "moco": {"area": [0.1, "5e-1"], "blur": [1, 3]},
    "block_mask": {"area": [0.1, 0.2], "blocks": [2, 2], "fill": "grey"},
    "patch_mask": {"share": [0.1, 0.5], "grid": 14, "fill": "black"},
    "patch_shuffle": {"grid": 3},
    "blur": {"radius": [0.1, 0.1]},
    "rotation": {"angle": [30, 330], "fill": "black"},
}


@pytest.mark.parametrize(("name", "settings"), RANGES.items())
def test_settings_come_from_plain_values(name, settings):
    made = validate(HARD_NEGATIVES[name], settings, where="test")
    for key, value in settings.items():
        wanted = tuple(float(number) for number in value) if isinstance(value, list) else value
        assert getattr(made, key) == wanted
    assert hash(made) == hash(validate(HARD_NEGATIVES[name], settings, where="test"))


def test_quarters_are_an_angle_by_name():
    assert validate(HARD_NEGATIVES["rotation"], {"angle": "quarters"}, where="test") == HARD_NEGATIVES["rotation"]()


@pytest.mark.parametrize("name", OF_THE_IMAGE)
def test_unknown_settings_are_refused(name):
    with pytest.raises(ConfigError, match="strenght"):
        validate(HARD_NEGATIVES[name], {"strenght": 1}, where="test")


@pytest.mark.parametrize(
    "values", [(0.0, 1.0), (-1.0, 1.0), (0.5, 0.4), (0.5, 2.1), (float("nan"), 1.0), (0.5, float("nan")), (0.5, float("inf"))]
)
def test_what_is_no_range_is_refused(values):
    with pytest.raises(ValueError, match=r"^area must be a range 0 < least <= greatest <= 2, got "):
        check_range("area", values, at_most=2.0)


def test_a_range_without_a_bound_ends_before_infinity():
    check_range("aspect", (1.0, 1e300))
    with pytest.raises(ValueError, match=r"^aspect must be a range 0 < least <= greatest, got "):
        check_range("aspect", (1.0, float("inf")))


def test_a_ratio_and_its_inverse_are_equally_likely(rngs, assert_uniform):
    assert_uniform(np.log([log_uniform((0.25, 4.0), rng) for rng in rngs(2000)]), np.log(0.25), np.log(4))


def test_fills():
    image = Image.fromarray(np.array([[[0, 10, 255], [101, 10, 254]]], np.uint8))
    assert colour("mean", image) == (50, 10, 254)  # 50.5, 10 and 254.5, halves to even
    assert colour("black", image) == (0, 0, 0) and colour("grey", image) == (128, 128, 128)
    painted = np.asarray(paint(image, np.array([[False, True]]), "grey"))
    assert painted.tolist() == [[[0, 10, 255], [128, 128, 128]]]


@pytest.mark.parametrize("name", ["block_mask", "patch_mask", "rotation"])
def test_an_unknown_fill_is_refused(name):
    with pytest.raises(ConfigError, match="fill"):
        validate(HARD_NEGATIVES[name], {"fill": "gray"}, where="test")


@pytest.mark.parametrize(
    ("width", "height", "along", "columns", "rows"),
    [(336, 336, 24, 24, 24), (400, 200, 24, 24, 12), (400, 8, 24, 24, 1), (3, 70, 24, 1, 24), (10, 5, 24, 10, 5), (1, 1, 24, 1, 1)],
)
def test_grids_have_nearly_square_cells_of_a_pixel_at_least(width, height, along, columns, rows):
    assert grid_of(width, height, along) == (columns, rows)


def test_a_grids_cells_share_the_image():
    cells = np.array([[True, False, True], [False, True, False]])
    assert np.array_equal(spread(cells, 12, 4), np.kron(cells, np.ones((2, 4))))
    for number in range(6):
        one = spread((np.arange(6) == number).reshape(2, 3), 13, 5)
        assert one.shape == (5, 13) and one.sum() in {2 * 4, 2 * 5, 3 * 4, 3 * 5}


def test_black_is_black(scenes, alone, rngs):
    assert not np.asarray(Black()(scenes[0], *rngs(1), alone)).any()


def record(**fields) -> Record:
    return Record(**{"id": "a", "prompt": "?", "chosen": "!", "rejected": ".", "image": Path("cat.jpg")} | fields)


def test_a_record_is_checked_for_what_its_negative_needs(negative):
    check(negative, record())
    with pytest.raises(RecordError, match=r"^record 'a': has no image"):
        check(negative, record(image=None))


def test_the_records_own_rejected_image(pictures, scenes, rngs):
    class Paired(pictures):
        def rejected_image(self):
            return scenes[3]

    assert RejectedImage()(scenes[0], *rngs(1), Paired(scenes)) is scenes[3]
    assert isinstance(RejectedImage(), Checking) and not isinstance(Crop(), Checking)
    check(RejectedImage(), record(rejected_image=Path("dog.jpg")))
    with pytest.raises(RecordError, match=r"^record 'a': brings no rejected image"):
        check(RejectedImage(), record())


def test_a_fingerprint_tells_settings_apart():
    assert fingerprint(Crop()) == fingerprint(Crop(area=(0.01, 0.2))) != fingerprint(Crop(area=(0.2, 0.5)))
