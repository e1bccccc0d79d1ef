"""Diffusion noise and hidden tokens, against their definitions."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jax_mdpo.corruptions import Corruption, Noise, TokenMask

KEY = jax.random.key(0)


def test_the_published_schedule():
    """The running product over steps 0 … 500 of 1 − (sigmoid(x) · (0.005 − 1e-5) + 1e-5), x from −6 to 6 in 1000 even steps."""
    kept = 1.0
    for step in range(501):
        x = -6 + 12 * step / 999
        kept *= 1 - ((0.005 - 1e-5) / (1 + np.exp(-x)) + 1e-5)
    assert Noise().kept == pytest.approx(kept, rel=1e-12)
    assert Noise().kept == pytest.approx(0.7448, abs=5e-5)  # as published
    assert Noise(step=0).kept == pytest.approx(1 - ((0.005 - 1e-5) / (1 + np.exp(6)) + 1e-5), rel=1e-12)
    assert Noise(step=1, steps=2, betas=(0.1, 0.3), schedule="linear").kept == pytest.approx(0.9 * 0.7)


def test_noised_pixels_hold_the_image_and_normal_noise():
    image = jnp.linspace(-2, 2, 64 * 64 * 3).reshape(64, 64, 3)
    noise = Noise(step=700)
    found = noise.pixels(image, KEY)
    left = (np.asarray(found) - np.sqrt(noise.kept) * np.asarray(image)) / np.sqrt(1 - noise.kept)
    count = left.size
    assert abs(left.mean()) < 5 / np.sqrt(count) and abs(left.std() - 1) < 5 / np.sqrt(2 * count)
    assert abs(np.corrcoef(left[:-1].ravel(), left[1:].ravel())[0, 1]) < 5 / np.sqrt(count)
    assert np.array_equal(found, noise.pixels(image, KEY)) and not np.array_equal(found, noise.pixels(image, jax.random.key(1)))


@pytest.mark.parametrize(("share", "hidden"), [(0.5, 8), (1.0, 16), (0.01, 1), (0.3, 5)])
def test_a_share_of_the_tokens_is_hidden_each_as_often(share, hidden):
    masks = np.asarray(jax.vmap(lambda key: TokenMask(share=share).visible(16, key))(jax.random.split(KEY, 2000)))
    assert np.all((~masks).sum(axis=1) == hidden)
    often = (~masks).mean(axis=0)
    assert np.all(np.abs(often - hidden / 16) <= 5 * np.sqrt(0.25 / 2000))


def test_what_a_corruption_leaves_alone():
    image = jnp.ones((4, 4, 3))
    assert np.array_equal(TokenMask().pixels(image, KEY), image)
    assert np.asarray(Noise().visible(9, KEY)).all()
    assert np.array_equal(Corruption().pixels(image, KEY), image)


@pytest.mark.parametrize(
    ("cls", "fields", "message"),
    [
        (Noise, {"step": 1000}, "step 1000 of 1000"),
        (Noise, {"step": -1}, "step must be"),
        (Noise, {"betas": (0.3, 0.1)}, "betas"),
        (TokenMask, {"share": 0.0}, "share"),
        (TokenMask, {"share": 1.1}, "share"),
    ],
)
def test_settings_outside_their_range_are_refused(cls, fields, message):
    with pytest.raises(ValueError, match=message):
        cls(**fields)
