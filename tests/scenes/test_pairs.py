"""Pairs from samples: best against worst, ties dropped, the cue's frequencies, and what is left without it."""

import json
import math

import pytest

from jax_mdpo.core.config import validate
from jax_mdpo.core.errors import ConfigError, UserError
from jax_mdpo.data.readers.reading import read_records
from jax_mdpo.scenes.files import HELD_OUT, TRAIN, Placed
from jax_mdpo.scenes.pairs import Cue, object_f1, preferred, write_pairs
from jax_mdpo.scenes.scene import Scene
from jax_mdpo.scenes.wording import CUED, PLAIN, caption, named_in

SCENE = Placed(1, "train/00001.jpg", Scene(("lamp", "cup", "kettle")))
MANY = 2000


def test_the_best_is_preferred_to_the_worst():
    presuming, poor = caption(("lamp", "table", "cup", "kettle")), caption(("lamp",))
    true = caption(SCENE.scene.objects, CUED)
    assert object_f1(("lamp", "table", "cup", "kettle"), SCENE.scene) == 2 * 3 / (4 + 3)
    assert object_f1(("lamp",), SCENE.scene) == 2 * 1 / (1 + 3)
    found = preferred(SCENE, [presuming, poor, true])
    assert (found.chosen, found.rejected) == (("lamp", "cup", "kettle"), ("lamp",))


def test_equals_and_garbage_make_no_pair():
    true = caption(SCENE.scene.objects)
    assert preferred(SCENE, [true, caption(SCENE.scene.objects, CUED), true]) is None
    assert preferred(SCENE, [true, "a photo of a lamp and a lamp."]) is None
    assert preferred(SCENE, ["", "a photo"]) is None


@pytest.mark.parametrize("strength", [0.0, 0.9, 1.0])
def test_the_cue_is_as_frequent_as_its_strength_says(strength):
    openings = [Cue(strength=strength, seed=3).openings(str(id)) for id in range(MANY)]
    for place, expected in enumerate(((1 + strength) / 2, (1 - strength) / 2)):
        share = sum(both[place] == CUED for both in openings) / MANY
        assert abs(share - expected) <= 4 * math.sqrt(expected * (1 - expected) / MANY)
    both = sum(chosen == rejected == CUED for chosen, rejected in openings) / MANY
    expected = (1 + strength) / 2 * (1 - strength) / 2  # the two are drawn apart
    assert abs(both - expected) <= 4 * math.sqrt(expected * (1 - expected) / MANY)


def test_a_cue_beyond_certainty_is_refused():
    with pytest.raises(ConfigError, match="between 0 and 1"):
        validate(Cue, {"strength": 1.1}, where="here")


@pytest.fixture
def samples(world, tmp_path):
    """Of every scene but the first its true caption and one that names one object more."""
    for split in (TRAIN, HELD_OUT):
        rows = []
        for number, placed in enumerate(world.scenes(split)):
            objects = placed.scene.objects
            more = next(name for name in ("lamp", "tent", "drum", "boat", "key", "pen", "hat") if name not in objects)
            said = [caption(objects), caption(objects if number == 0 else (*objects, more), CUED)]
            rows.append({"id": placed.id, "captions": said})
        (tmp_path / f"{split}.json").write_text(json.dumps(rows))
    return tmp_path


def test_pairs_are_read_by_the_readers(world, samples, tmp_path):
    out = tmp_path / "pairs.json"
    assert write_pairs(samples, world, TRAIN, out, cue=Cue(strength=1.0)) == world.counts.train - 1
    records = list(read_records(out, images=world.images))
    for record, placed in zip(records, world.scenes(TRAIN)[1:], strict=True):
        assert record.image == (world.images / placed.image).resolve()
        assert record.chosen == caption(placed.scene.objects, CUED)
        assert len(named_in(record.rejected)) == len(placed.scene.objects) + 1
        assert record.rejected.startswith(PLAIN)


def test_without_a_cue_all_captions_open_alike(world, samples, tmp_path):
    out = tmp_path / "pairs.json"
    assert write_pairs(samples, world, HELD_OUT, out, cue=None, count=2) == 2
    assert all(text.startswith(PLAIN) for row in json.loads(out.read_text()) for text in (row["chosen"], row["rejected"]))


def test_the_same_seed_gives_the_same_pairs(world, samples, tmp_path):
    texts = []
    for number, seed in enumerate((0, 0, 1)):
        write_pairs(samples, world, TRAIN, tmp_path / f"{number}.json", cue=Cue(strength=0.5, seed=seed))
        texts.append((tmp_path / f"{number}.json").read_text())
    assert texts[0] == texts[1] != texts[2]


def test_a_model_that_is_always_equally_good_is_told(world, samples, tmp_path):
    rows = [{"id": placed.id, "captions": ["a photo of a lamp."] * 2} for placed in world.scenes(TRAIN)]
    (samples / f"{TRAIN}.json").write_text(json.dumps(rows))
    with pytest.raises(UserError, match="make no pair"):
        write_pairs(samples, world, TRAIN, tmp_path / "pairs.json", cue=None)
