"""Kinds, scenes and pictures: names that CHAIR reads as they are, the prior's frequencies, and one scene for one seed."""

import io
import math
from collections import Counter

import numpy as np
import pytest
from PIL import Image

from jax_mdpo.core.config import validate
from jax_mdpo.core.errors import ConfigError
from jax_mdpo.evaluation.benchmarks.chair import PAIRS as CHAIRS_PAIRS
from jax_mdpo.evaluation.benchmarks.coco_words import RENAMED
from jax_mdpo.evaluation.benchmarks.singular import singular
from jax_mdpo.scenes.kinds import COLOURS, KINDS, NAMES, PAIR_OF, PARTNER
from jax_mdpo.scenes.picture import SIZE, picture_of
from jax_mdpo.scenes.scene import PARTS, Scene, WorldSettings, scene_of

MANY = 2000
WORLD = WorldSettings(seed=7)


def test_chair_reads_every_name_as_it_is():
    joined = {word for pair in (*CHAIRS_PAIRS, *RENAMED) for word in pair.split()}
    assert len(NAMES) == len(set(NAMES)) == 24
    assert [singular(name) for name in NAMES] == list(NAMES)
    assert not joined & set(NAMES)
    assert not any(name.endswith("s") or name[0] in "aeiou" for name in NAMES)


def test_kinds_look_unlike_each_other_and_partners_share_nothing():
    looks = {(kind.shape, kind.colour) for kind in KINDS.values()}
    assert len(looks) == 24
    for name, partner in PARTNER.items():
        assert PARTNER[partner] == name
        assert KINDS[name].shape != KINDS[partner].shape
        assert KINDS[name].colour != KINDS[partner].colour


def test_partners_stand_together_as_often_as_the_prior_says():
    scenes = [scene_of(WORLD, "any", index) for index in range(MANY)]
    alone = sum(len(scene.missing) for scene in scenes)
    pairs = sum((len(scene.objects) + len(scene.missing)) // 2 for scene in scenes)
    deviation = math.sqrt(WORLD.prior * (1 - WORLD.prior) / pairs)
    assert abs(1 - alone / pairs - WORLD.prior) < 4 * deviation


def test_the_first_pair_is_more_frequent_than_the_last():
    world = WorldSettings(seed=7, most_pairs=1, frequency=2.0)
    drawn = Counter(PAIR_OF[scene_of(world, "any", index).objects[0]] for index in range(MANY))
    total = sum(2 - place / 11 for place in range(12))  # weights fall evenly from 2 to 1
    for place, weight in ((0, 2), (11, 1)):
        share = weight / total
        assert abs(drawn[place] / MANY - share) < 4 * math.sqrt(share * (1 - share) / MANY)


@pytest.mark.parametrize("part", PARTS)
def test_a_part_is_what_it_is_called(part):
    scenes = [scene_of(WORLD, "any", index, part) for index in range(200)]
    assert {scene.part for scene in scenes} == {part}
    assert all(scene.objects for scene in scenes)


def test_the_same_names_give_the_same_scene_and_picture_and_others_do_not():
    def of(seed, split, index):
        world = WorldSettings(seed=seed)
        scene = scene_of(world, split, index)
        return scene, picture_of(scene, world, split, index)

    assert of(7, "one", 3) == of(7, "one", 3)
    pictures = {of(*names)[1] for names in ((7, "one", 3), (8, "one", 3), (7, "other", 3), (7, "one", 4))}
    assert len(pictures) == 4


@pytest.mark.parametrize("name", NAMES)
def test_an_object_is_drawn_in_its_colour_and_no_other(name):
    with Image.open(io.BytesIO(picture_of(Scene((name,)), WORLD, "any", 0))) as picture:
        assert picture.format == "JPEG"
        assert picture.size == (SIZE, SIZE)
        pixels = np.asarray(picture, dtype=int)
    near = {colour: float((np.abs(pixels - np.array(colour)).max(axis=-1) < 45).mean()) for colour in COLOURS}
    assert max(near, key=near.__getitem__) == KINDS[name].colour
    assert near[KINDS[name].colour] > 0.01  # 23 of the 2304 pixels: a ring or a cross, less its soft edges


@pytest.mark.parametrize(("name", "value"), [("prior", 0.5), ("prior", 1.0), ("frequency", 0.5), ("most_pairs", 5)])
def test_settings_that_make_no_world_are_refused(name, value):
    with pytest.raises(ConfigError, match=name):
        validate(WorldSettings, {name: value}, where="here")
