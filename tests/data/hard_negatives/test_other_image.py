"""Whose image is taken: never the record's own, at random or by features, and what happens to those that cannot be."""

from pathlib import Path

import numpy as np
import pytest

from jax_mdpo.core.errors import RecordError, UserError
from jax_mdpo.core.records import Record
from jax_mdpo.data.hard_negatives import Mixture, OtherImage, check, fingerprint
from jax_mdpo.data.hard_negatives import features as features_module


@pytest.fixture
def write(tmp_path):
    """(ids, features) → the path of a feature file."""

    def written(ids, features, name="features.npz") -> str:
        np.savez(tmp_path / name, ids=np.asarray(ids), features=np.asarray(features))
        return str(tmp_path / name)

    return written


def test_every_other_record_is_equally_likely(pictures, scenes, rngs, assert_rate):
    corpus = pictures(scenes, index=2)
    taken = [scenes.index(OtherImage()(scenes[2], rng, corpus)) for rng in rngs(2000)]
    for place in (0, 1, 3, 4):
        assert_rate(taken.count(place), 2000, 1 / 4)
    assert 2 not in taken


def test_no_image_of_the_same_file_or_the_same_pixels_is_taken(pictures, scenes, rngs):
    """Places 0 and 1 share a file, place 2 is a copy of it in another file."""
    images = [scenes[0], scenes[0], scenes[0].copy(), scenes[3]]
    corpus = pictures(images, sources=["cat", "cat", "copy", "dog"])
    opened = []
    corpus.image = lambda place: opened.append(place) or images[place]
    assert all(OtherImage()(scenes[0], rng, corpus) is scenes[3] for rng in rngs(30))
    assert set(opened) == {2, 3}


def test_text_only_and_broken_records_are_passed_over(pictures, scenes, rngs):
    corpus = pictures([scenes[0], None, "broken", scenes[3]])
    assert all(OtherImage()(scenes[0], rng, corpus) is scenes[3] for rng in rngs(30))


@pytest.mark.parametrize("others", [[], [None], ["broken", None, "broken"]])
def test_nothing_to_take_is_the_records_error(others, pictures, scenes, rngs):
    corpus = pictures([scenes[0], *others], ids=["a", *range(len(others))])
    with pytest.raises(RecordError, match=r"^record 'a': finds no other image"):
        OtherImage()(scenes[0], *rngs(1), corpus)


def test_an_image_of_another_size_is_resized(pictures, scenes, noise, rngs):
    made = OtherImage()(noise(40, 24), *rngs(1), pictures([noise(40, 24), scenes[1]]))
    assert made.size == (40, 24)


ANGLES = np.deg2rad([0, 50, -20, 170, 90])
CIRCLE = np.stack([np.cos(ANGLES), np.sin(ANGLES)], axis=1) * [[1], [9], [2], [0.1], [1e-6]]  # lengths must not count


@pytest.mark.parametrize(("index", "nearest"), [(0, 2), (1, 4), (2, 0), (3, 4), (4, 1)])
def test_the_nearest_has_the_smallest_angle(index, nearest, pictures, scenes, rngs, write):
    """At 0°, 50°, -20°, 170° and 90°. The file's order is not the data set's."""
    path = write([f"r{place}" for place in (3, 1, 4, 0, 2)], CIRCLE[[3, 1, 4, 0, 2]])
    corpus = pictures(scenes, index=index, ids=[f"r{place}" for place in range(5)])
    for rng in rngs(3):
        assert OtherImage(choice="nearest", features=path)(scenes[index], rng, corpus) is scenes[nearest]


def test_the_next_nearest_follows_where_one_cannot_be_taken(pictures, scenes, rngs, write):
    """From 0°, nearest first: -20° (broken), 50° (the same file), 90° (not in the feature file), 170°. A stranger's id does no harm."""
    path = write([0, 1, 2, 3, 77], CIRCLE)
    images = [scenes[0], scenes[1], "broken", scenes[3], scenes[4]]
    corpus = pictures(images, sources=["cat", "cat", "b", "c", "d"])
    assert OtherImage(choice="nearest", features=path)(scenes[0], *rngs(1), corpus) is scenes[3]


def test_equally_near_ones_keep_the_data_sets_order(pictures, scenes, rngs, write):
    """Of 99, every third one points elsewhere."""
    features = np.ones((99, 2), np.float16)
    features[::3, 1] = 0
    path = write(range(99), features)
    assert OtherImage(choice="nearest", features=path)(scenes[2], *rngs(1), pictures(scenes, index=2)) is scenes[1]
    found = features_module.read_features(path).nearest(tuple(range(99)), 50).tolist()
    assert found == [place for place in range(99) if place % 3] + list(range(0, 99, 3))


def test_a_record_without_features_is_its_own_error(pictures, scenes, rngs, write):
    negative = OtherImage(choice="nearest", features=write(["a", "b"], CIRCLE[:2]))
    record = Record(id="c", prompt="?", chosen="!", rejected=".", image=Path("cat.jpg"))
    for refuse in (lambda: check(negative, record), lambda: check(Mixture(of=(negative,)), record),
                   lambda: negative(scenes[2], *rngs(1), pictures(scenes[:3], index=2, ids="abc"))):  # fmt: skip
        with pytest.raises(RecordError, match=r"^record 'c': has no features in .*features\.npz"):
            refuse()


def test_a_missing_file_is_no_records_error(tmp_path, pictures, scenes, rngs):
    negative = OtherImage(choice="nearest", features=str(tmp_path / "no.npz"))
    with pytest.raises(UserError, match=r"no\.npz cannot be read: No such file") as caught:
        negative(scenes[0], *rngs(1), pictures(scenes))
    assert not isinstance(caught.value, RecordError)  # which would be skipped, record by record


@pytest.mark.parametrize(
    ("ids", "features", "message"),
    [([0, 1], np.ones((3, 2)), r"ids \[2\] and features \[3, 2\]"), ([0, 1], np.ones(2), r"features \[2\]"), ([], np.ones((0, 4)), "got"),
     ([0], np.ones((1, 0)), r"features \[1, 0\]"), ([[0]], np.ones((1, 2)), r"ids \[1, 1\]"), ([0.5], np.ones((1, 2)), "ids of float64"),
     ([0], [["a"]], "features of <U1"), (["a", "b", "a"], np.ones((3, 2)), "names the id 'a' twice"),
     (["a", "b"], [[1, 0], [0, 0]], "no direction for the id 'b'"), (["a", "b"], [[1, 0], [1, np.nan]], "no direction for the id 'b'")],
)  # fmt: skip
def test_a_file_of_the_wrong_kind_says_what_is_wrong(ids, features, message, write):
    with pytest.raises(UserError, match=message):
        features_module.read_features(write(ids, features))


def test_files_that_are_no_arrays_are_refused(tmp_path):
    (tmp_path / "text.npz").write_text("ids, features")
    np.savez(tmp_path / "names.npz", keys=[1], values=[[1.0]])
    np.savez(tmp_path / "objects.npz", ids=np.array(["a", None], object), features=np.ones((2, 2)))
    np.save(tmp_path / "single.npy", np.ones((2, 2)))
    np.savez(tmp_path / "cut.npz", ids=np.arange(9), features=np.ones((9, 9)))
    (tmp_path / "cut.npz").write_bytes((tmp_path / "cut.npz").read_bytes()[:400])
    for name in ("text.npz", "names.npz", "objects.npz", "single.npy", "cut.npz"):
        with pytest.raises(UserError, match=f"{name} cannot be used"):
            features_module.read_features(str(tmp_path / name))


def test_the_file_is_read_once_and_again_when_it_changes(monkeypatch, pictures, scenes, rngs, write):
    reads = []
    monkeypatch.setattr(np, "load", lambda *args, load=np.load, **kwargs: reads.append(args) or load(*args, **kwargs))
    negative = OtherImage(choice="nearest", features=write(range(5), CIRCLE))
    before = fingerprint(negative)
    for index in range(5):
        negative(scenes[index], *rngs(1), pictures(scenes, index=index))
    assert len(reads) == 1
    write(range(5), np.eye(5))
    assert fingerprint(negative) != before and len(reads) == 2
    write(range(5), CIRCLE)
    assert fingerprint(negative) == before


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"choice": "nearest"}, "needs features"),
        ({"features": "f.npz"}, "does not read it"),
    ],
)
def test_contradictions_are_refused(fields, message):
    with pytest.raises(ValueError, match=message):
        OtherImage(**fields)
