"""How many patches are painted over, which, and that no other pixel changes."""

import numpy as np
import pytest

from jax_mdpo.data.hard_negatives import PatchMask


def test_every_patch_is_hidden_equally_often(rngs):
    """400 draws hide each of 576 patches 300 times on average; √(400 · ¾ · ¼) = 8.66 is the standard deviation, five of them the bound."""
    hidden = np.array([PatchMask().hidden(24, 24, rng) for rng in rngs(400)])
    assert (hidden.sum(axis=(1, 2)) == 0.75 * 576).all()
    assert np.abs(hidden.sum(axis=0) - 300).max() < 5 * np.sqrt(400 * 0.75 * 0.25)


def test_the_share_is_drawn_uniformly(rngs, assert_uniform):
    shares = [PatchMask(share=(0.2, 0.6)).hidden(100, 100, rng).mean() for rng in rngs(1000)]
    assert_uniform(shares, 0.2, 0.6)


@pytest.mark.parametrize(("share", "count"), [(1e-9, 1), (0.5, 2), (0.7, 3), (1.0, 4)])
def test_whole_patches_are_hidden_and_one_at_least(share, count, noise, alone, rngs):
    image = np.asarray(noise(24, 24))
    made = np.asarray(PatchMask(share=(share, share), grid=2, fill="black")(noise(24, 24), *rngs(1), alone))
    patches = [(slice(top, top + 12), slice(left, left + 12)) for top in (0, 12) for left in (0, 12)]
    black = [patch for patch in patches if not made[patch].any()]
    assert len(black) == count
    assert all(np.array_equal(made[patch], image[patch]) for patch in patches if patch not in black)


@pytest.mark.parametrize("size", [(25, 37), (400, 8), (1, 1)])
def test_all_of_an_image_can_be_hidden(size, noise, alone, rngs):
    made = np.asarray(PatchMask(share=(1.0, 1.0))(noise(*size), *rngs(1), alone))
    assert (made == np.rint(np.asarray(noise(*size)).mean((0, 1)))).all()


@pytest.mark.parametrize(("fields", "message"), [({"share": (0.0, 1.0)}, "share"), ({"share": (0.5, 1.1)}, "share"), ({"grid": 0}, "grid")])
def test_impossible_settings_are_refused(fields, message):
    with pytest.raises(ValueError, match=f"^{message} must be"):
        PatchMask(**fields)
