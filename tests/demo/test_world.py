"""The demo's world: its answers are true or false as they should be, and its files are what the program reads."""

import json

import numpy as np
import pytest
from PIL import Image

from jax_mdpo.core.seeds import generator
from jax_mdpo.demo.captions import describe, hallucinate
from jax_mdpo.demo.scenes import COLOURS, SIZE, Scene, Thing, draw_things, render
from jax_mdpo.demo.world import write_world


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    return write_world(tmp_path_factory.mktemp("world"), train=6, held_out=4)


def share_of(colour: str, picture: Image.Image) -> float:
    """The share of pixels nearer to `colour` than the grain and soft edges of a shape carry them."""
    distance = np.abs(np.asarray(picture, dtype=int) - np.array(COLOURS[colour])).max(axis=-1)
    return float((distance < 30).mean())


@pytest.mark.parametrize("seed", range(30))
def test_the_colours_of_a_scene_are_in_its_picture_and_no_others(seed):
    rng = generator(seed)
    scene = draw_things(rng)
    picture = render(scene, rng)
    present = {thing.colour for thing in scene.things}
    assert picture.size == (SIZE, SIZE)
    assert {colour for colour in COLOURS if share_of(colour, picture) > 0.02} == present


@pytest.mark.parametrize("seed", range(50))
def test_a_wrong_answer_differs_in_one_name_that_is_not_there(seed):
    rng = generator(seed)
    scene = draw_things(rng)
    wrong = hallucinate(scene, rng)
    (changed,) = [(right, false) for right, false in zip(scene.things, wrong, strict=True) if right != false]
    right, false = changed
    assert (right.colour == false.colour) != (right.shape == false.shape)
    absent_colour = false.colour not in {thing.colour for thing in scene.things}
    absent_shape = false.shape not in {thing.shape for thing in scene.things}
    assert absent_colour or absent_shape


def test_descriptions_read_like_sentences():
    assert describe([Thing("red", "circle")]) == "There is a red circle."
    assert describe(Scene((Thing("red", "circle"), Thing("blue", "star"))).things) == "There is a red circle and a blue star."


def test_the_files_are_pairs_with_real_jpegs(world):
    train = json.loads(world.train.read_text())
    held_out = [json.loads(line) for line in world.held_out.read_text().splitlines()]
    assert len(train) == 6
    assert len(held_out) == 4
    assert all(row["chosen"] != row["rejected"] for row in train + held_out)
    names = [row["img_path"] for row in train] + [row[key] for row in held_out for key in ("image", "rejected_image")]
    assert len(set(names)) == 6 + 2 * 4
    for name in names:
        with Image.open(world.images / name) as picture:
            picture.load()
            assert picture.format == "JPEG"


def test_the_wrong_image_of_a_held_out_record_is_a_small_crop(world):
    for line in world.held_out.read_text().splitlines():
        with Image.open(world.images / json.loads(line)["rejected_image"]) as picture:
            width, height = picture.size
        assert width * height <= 0.21 * SIZE * SIZE  # a fifth, and rounding


def test_the_same_seed_gives_the_same_world(world, tmp_path):
    again = write_world(tmp_path / "again", train=2, held_out=1)
    other = write_world(tmp_path / "other", train=2, held_out=1, seed=1)
    assert json.loads(again.train.read_text()) == json.loads(world.train.read_text())[:2]
    picture = "train-0000.jpg"
    assert (again.images / picture).read_bytes() == (world.images / picture).read_bytes()
    assert (other.images / picture).read_bytes() != (world.images / picture).read_bytes()
