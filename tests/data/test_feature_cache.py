"""The files of cached vision features: read back bit for bit, resumed after a kill, refused where a byte or the space is missing."""

from collections import namedtuple

import ml_dtypes
import numpy as np
import pytest

from jax_mdpo.core.errors import RecordError, UserError
from jax_mdpo.data.dataset import PairDataset
from jax_mdpo.data.feature_cache import FeatureCache, Form, UnfinishedFeatures
from jax_mdpo.data.manifest import Manifest, begin, is_complete
from jax_mdpo.data.settings import DataSettings

VARIANTS = ("clean", "negative")
FORM = Form(records=3, shape=(4, 5), dtype="bfloat16")
WANTED = Manifest(VARIANTS, {"base": "abc"})
Usage = namedtuple("Usage", "free")


def features(place: int) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(place)
    return {variant: rng.normal(size=FORM.shape).astype(ml_dtypes.bfloat16) for variant in VARIANTS}


def filled(folder) -> FeatureCache:
    """The second record is bad."""
    begin(folder, WANTED, busy=False)
    with UnfinishedFeatures(folder, WANTED, FORM) as unfinished:
        for place in (2, 0, 1):
            unfinished.add(place, None if place == 1 else features(place))
        unfinished.finish()
    return FeatureCache.open(folder, VARIANTS, FORM)


def test_what_was_computed_is_read_back_bit_for_bit(tmp_path):
    cache = filled(tmp_path)
    for place in (0, 2):
        for variant, expected in features(place).items():
            found = cache.features(place)[variant]
            assert found.dtype == ml_dtypes.bfloat16 and found.tobytes() == expected.tobytes()
    assert cache.features(1) is None
    assert (tmp_path / "clean.bin").stat().st_size == 3 * 4 * 5 * 2 == FORM.nbytes
    only = FeatureCache.open(tmp_path, ("negative",), FORM).features(2)
    assert only.keys() == {"negative"} and only["negative"].tobytes() == features(2)["negative"].tobytes()


def test_stopped_it_goes_on_where_it_was(tmp_path, monkeypatch):
    """The record that was added last is not in checks.npy yet: nobody announces a SIGKILL."""
    monkeypatch.setattr("jax_mdpo.data.feature_cache.SECONDS_A_SAVE", 0.0)
    begin(tmp_path, WANTED, busy=False)
    stopped = UnfinishedFeatures(tmp_path, WANTED, FORM)
    stopped.add(2, features(2))
    monkeypatch.setattr("jax_mdpo.data.feature_cache.SECONDS_A_SAVE", 1e9)
    stopped.add(0, features(0))
    assert not is_complete(tmp_path, WANTED)
    with UnfinishedFeatures(tmp_path, WANTED, FORM) as resumed:
        assert resumed.places == [2]
        resumed.add(0, features(0))
        resumed.add(1, None)
        resumed.finish()
    filled(tmp_path / "whole")
    for name in ("clean.bin", "negative.bin", "checks.npy", "manifest.json"):
        assert (tmp_path / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()


def test_a_changed_byte_or_a_short_file_is_refused(tmp_path):
    cache = filled(tmp_path)
    content = bytearray((tmp_path / "negative.bin").read_bytes())
    content[-1] ^= 1  # of the last record
    (tmp_path / "negative.bin").write_bytes(bytes(content))
    assert cache.features(0) is not None
    with pytest.raises(UserError, match=r"negative\.bin is damaged"):
        cache.features(2)
    (tmp_path / "clean.bin").write_bytes(b"short")
    with pytest.raises(UserError, match=r"clean\.bin is damaged"):
        FeatureCache.open(tmp_path, VARIANTS, FORM)


def test_a_disk_without_the_space_is_refused_before_anything_is_computed(tmp_path, monkeypatch):
    begin(tmp_path, WANTED, busy=False)
    monkeypatch.setattr("shutil.disk_usage", lambda folder: Usage(free=2 * FORM.nbytes - 1))
    with pytest.raises(UserError, match="lacks space"):
        UnfinishedFeatures(tmp_path, WANTED, FORM)
    assert not (tmp_path / "clean.bin").exists()
    monkeypatch.setattr("shutil.disk_usage", lambda folder: Usage(free=2 * FORM.nbytes))
    UnfinishedFeatures(tmp_path, WANTED, FORM)
    assert (tmp_path / "clean.bin").stat().st_size == FORM.nbytes


def test_batches_bring_features_and_open_no_image(tmp_path, pictures, write_lines, vicuna):
    row = {"image": "cat.jpg", "prompt": "USER: <image> what ? ASSISTANT:", "chosen": "a cat", "rejected": "two dogs"}
    path = write_lines(*({**row, "id": name} for name in "abc"))
    for picture in pictures.glob("*.jpg"):
        picture.write_bytes(b"no picture")
    cache = filled(tmp_path / "features")
    data = PairDataset.open(DataSettings(path=str(path), on_bad_record="skip", pack=2), vicuna)
    (host,) = data.batches(data.ordered_batches(batch_size=4), features=cache)
    batch = host.batch
    assert batch.images == {} and [name for name, _ in host.skipped] == ["b"] and batch.valid.sum() == 2
    for variant, rows in batch.features.items():
        assert rows.shape == (2, 2, 4, 5) and rows.dtype == ml_dtypes.bfloat16
        for name, pair in zip(host.ids, rows.reshape(4, 4, 5), strict=True):
            expected = features("abc".index(name))[variant] if name in ("a", "c") else cache.nothing()
            assert pair.tobytes() == expected.tobytes()
    data = PairDataset.open(DataSettings(path=str(path)), vicuna)
    with pytest.raises(RecordError, match="record 'b': has no vision features"):
        list(data.batches(data.ordered_batches(batch_size=3), features=cache))
