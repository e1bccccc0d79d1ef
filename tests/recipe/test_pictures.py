"""Pictures of image variants: made by the code and the draws of a training step, without weights."""

import json
from dataclasses import replace

import jax
import numpy as np
import pytest
from end_to_end.world import CONFIG, write_config, write_pairs
from PIL import Image
from tiny_processor import write_tiny_processor

from jax_mdpo.corruptions import Noise, TokenMask
from jax_mdpo.data.dataset import PairDataset
from jax_mdpo.data.hard_negatives import Crop, Mixture, PatchShuffle
from jax_mdpo.data.settings import DataSettings
from jax_mdpo.data.variants import Variants
from jax_mdpo.models.families.llava import family
from jax_mdpo.recipe import preview as previewing
from jax_mdpo.recipe.configuration import read_settings
from jax_mdpo.recipe.pictures import HIDDEN, VEIL, Eye, pictures

MEAN, STD = np.array([0.48145466, 0.4578275, 0.40821073]), np.array([0.26862954, 0.26130258, 0.27577711])


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A checkpoint's configuration and processor, without weights, and six pairs in data/."""
    folder = tmp_path_factory.mktemp("checkpoint")
    write_tiny_processor(folder)
    (folder / "config.json").write_text(json.dumps(CONFIG))
    write_pairs(folder / "data", 6)
    return folder


@pytest.fixture(scope="module")
def data(folder):
    return PairDataset.open(DataSettings(path=str(folder / "data" / "pairs.jsonl"), workers=0), family.processor(folder))


@pytest.fixture(scope="module")
def eye(folder, data):
    return Eye.of(family, family.configuration(folder, data.processor))


def shown(data, eye, place, maker, *, variant="negative", epoch=0, seed=3):
    """The pictures of the image and one variant of it, and how the variants come about."""
    variants = Variants(("clean", variant), {variant: maker}, seed)
    return pictures(data.pair(place, variants=variants, epoch=epoch), variants, eye, epoch=epoch), variants


def test_noise_is_that_of_the_device_in_raw_pixels(data, eye):
    found, variants = shown(data, eye, 1, Noise(step=500), variant="noised", epoch=2)
    words = variants.draw("noised", "pair-1", 2).words
    key = jax.random.wrap_key_data(np.asarray(words[1:]), impl="threefry2x32")
    raw = np.asarray(found["clean"].image)
    kept = Noise(step=500).kept
    normalised = np.sqrt(kept) * (raw / 255 - MEAN) / STD + np.sqrt(1 - kept) * np.asarray(jax.random.normal(key, raw.shape))
    expected = np.clip(normalised * STD + MEAN, 0, 1) * 255
    assert np.abs(np.asarray(found["noised"].image) - expected).max() <= 0.51  # rounded to whole levels
    assert (found["noised"].made_by, found["clean"].made_by) == ("noise", "")


def test_an_image_without_noise_is_shown_as_it_is(data, eye):
    found, _ = shown(data, eye, 0, Noise(step=0, betas=(1e-12, 1e-12)), variant="noised")
    assert np.array_equal(np.asarray(found["noised"].image), np.asarray(found["clean"].image))


def test_hidden_tokens_are_grey_patches_and_the_others_untouched(data, eye):
    found, variants = shown(data, eye, 0, TokenMask(share=0.25))
    words = variants.draw("negative", "pair-0", 0).words
    visible = np.asarray(TokenMask(share=0.25).visible(16, jax.random.wrap_key_data(np.asarray(words[1:]), impl="threefry2x32")))
    assert visible.sum() == 12
    clean, masked = np.asarray(found["clean"].image, np.float32), np.asarray(found["negative"].image, np.float32)
    for token, kept in enumerate(visible):
        top, left = 7 * (token // 4), 7 * (token % 4)
        patch = (slice(top, top + 7), slice(left, left + 7))
        expected = clean[patch] if kept else np.rint((1 - VEIL) * clean[patch] + VEIL * HIDDEN)
        assert np.abs(masked[patch] - expected).max() <= 1


def test_each_part_of_a_mixture_is_shown_and_named(data, eye):
    mixture = Mixture(of=(Crop(), TokenMask(), PatchShuffle()))
    seen = {}
    for epoch in range(12):
        found, variants = shown(data, eye, 2, mixture, epoch=epoch)
        picture = found["negative"]
        assert picture.maker is variants.draw("negative", "pair-2", epoch).maker
        held = data.pair(2, variants=variants, epoch=epoch).images["negative"]
        assert (np.asarray(picture.image) == np.asarray(held)).all() == (picture.made_by != "token_mask")
        seen[picture.made_by] = picture
    assert set(seen) == {"crop", "token_mask", "patch_shuffle"}
    assert seen["crop"].settings == "area 0.01–0.2; aspect 0.75–1.33"


def test_a_crop_says_which_part_of_the_image_it_shows(data, eye):
    found, _ = shown(data, eye, 4, Crop(area=(0.2, 0.5)))
    clean, picture = found["clean"], found["negative"]
    part = clean.image.crop(picture.box).resize(clean.image.size, Image.Resampling.BICUBIC)
    assert np.array_equal(np.asarray(part), np.asarray(picture.image))
    assert clean.box is None


def test_a_class_token_stands_for_no_part(folder, data):
    config = family.configuration(folder, data.processor)
    assert family.token_boxes(config)[:2] == ((0, 0, 7, 7), (7, 0, 14, 7))
    whole = family.token_boxes(replace(config, keep_class=True))
    assert whole == (None, *family.token_boxes(config))
    assert len(whole) == family.image_positions(replace(config, keep_class=True))


def test_a_preview_shows_what_the_terms_read_without_weights(folder, tmp_path, monkeypatch):
    sheets = []
    monkeypatch.setattr(previewing, "write_sheet", lambda cards, path: sheets.append(cards))
    path = write_config(
        tmp_path / "run.yaml",
        folder,
        folder / "data" / "pairs.jsonl",
        objectives=[{"name": "dpo", "weights": {"name": "uncertainty"}}, {"name": "conditional"}],
        hard_negative={"name": "mixture", "of": [{"name": "crop"}, {"name": "token_mask"}]},
        noise={"step": 500},
    )
    settings = read_settings(path)
    previewing.preview(settings, tmp_path / "sheet.png", count=6)
    labels = [tuple(card.images) for card in sheets[0]]
    assert len(labels) == 6
    assert set(labels) == {("image", f"hard negative ({part})", "noised image") for part in ("crop", "token_mask")}
    for card in sheets[0]:
        image, _, noised = (np.asarray(one) for one in card.images.values())
        assert np.abs(image.astype(int) - noised).mean() > 10
