"""The files of cached log-probs: computed in parts, read back exactly, refused where they belong to something else."""

import json

import numpy as np
import pytest

from jax_mdpo.core.errors import RecordError, UserError
from jax_mdpo.core.views import View
from jax_mdpo.data.dataset import PairDataset
from jax_mdpo.data.index import TokenIndex
from jax_mdpo.data.manifest import Manifest, begin, is_complete, read_manifest
from jax_mdpo.data.packing import Lengths
from jax_mdpo.data.reference_cache import ReferenceCache, Unfinished, named
from jax_mdpo.data.settings import DataSettings
from jax_mdpo.data.variants import Variants

CHOSEN, REJECTED, NEGATIVE = View("clean", "chosen"), View("clean", "rejected"), View("negative", "chosen")
VIEWS = (CHOSEN, REJECTED, NEGATIVE)
MADE_FROM = {"base weights": "abc", "seed": "0"}
HOLDS = tuple(map(named, VIEWS))
WANTED = Manifest(HOLDS, MADE_FROM)
COUNTS = {"chosen": [3, 1, 2, 4], "rejected": [2, 2, 5, 1]}  # scored tokens of four records


@pytest.fixture
def index() -> TokenIndex:
    """Prompts of 2, 3, 4 and 5 tokens."""
    starts = np.repeat([2, 3, 4, 5], 2)
    lengths = starts + np.array([COUNTS["chosen"], COUNTS["rejected"]]).T.ravel()
    return TokenIndex(np.zeros(lengths.sum(), np.int32), np.cumsum(lengths), starts, Lengths(np.zeros(4, int), np.zeros(4, int)), {})


def values(place: int) -> dict[View, np.ndarray]:
    """Different for every token."""
    found = {}
    for number, view in enumerate(VIEWS):
        found[view] = -(100 * place + 10 * number + np.arange(COUNTS[view.response][place], dtype=np.float32))
    return found


def filled(folder, index) -> None:
    begin(folder, WANTED, busy=False)
    with Unfinished(folder, index, WANTED) as unfinished:
        for place in (2, 0, 3, 1):
            unfinished.add(place, None if place == 3 else values(place))
        unfinished.finish()


def test_what_was_computed_is_read_back(tmp_path, index):
    filled(tmp_path, index)
    cache = ReferenceCache.open(tmp_path, index, VIEWS)
    for place in range(3):
        for view, expected in values(place).items():
            np.testing.assert_array_equal(cache.logps(place)[view], expected)
    assert cache.logps(3) is None, "the bad record"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["logps.npy", "manifest.json"]


def test_a_run_of_fewer_views_may_read_it(tmp_path, index):
    filled(tmp_path, index)
    assert is_complete(tmp_path, Manifest((named(REJECTED),), {"base weights": "abc"}))
    found = ReferenceCache.open(tmp_path, index, [REJECTED]).logps(2)
    assert found.keys() == {REJECTED} and found[REJECTED].tolist() == [-210, -211, -212, -213, -214]


def test_stopped_it_goes_on_where_it_was(tmp_path, index, monkeypatch):
    """Two parts are written before the end, which nobody announces, as with SIGKILL."""
    monkeypatch.setattr("jax_mdpo.data.reference_cache.SECONDS_A_PART", 0.0)
    begin(tmp_path, WANTED, busy=False)
    stopped = Unfinished(tmp_path, index, WANTED)
    stopped.add(2, values(2))
    stopped.add(0, values(0))
    assert not is_complete(tmp_path, WANTED)
    with Unfinished(tmp_path, index, WANTED) as resumed:
        assert resumed.places == [2, 0]
        resumed.add(1, values(1))
        resumed.add(3, None)
        resumed.finish()
    filled(tmp_path / "whole", index)
    assert (tmp_path / "logps.npy").read_bytes() == (tmp_path / "whole" / "logps.npy").read_bytes()


def test_a_damaged_part_is_computed_again(tmp_path, index, caplog):
    begin(tmp_path, WANTED, busy=False)
    for place in (0, 1):
        with Unfinished(tmp_path, index, WANTED) as unfinished:
            unfinished.add(place, values(place))
    part = tmp_path / "part-0.npz"
    content = bytearray(part.read_bytes())
    content[content.index(np.float32(-10).tobytes())] ^= 4  # a value of record 0
    part.write_bytes(bytes(content))
    assert Unfinished(tmp_path, index, WANTED).places == [1]
    assert "part-0.npz is damaged" in caplog.text


def test_a_changed_byte_is_refused(tmp_path, index):
    filled(tmp_path, index)
    content = bytearray((tmp_path / "logps.npy").read_bytes())
    content[-9] ^= 1
    (tmp_path / "logps.npy").write_bytes(bytes(content))
    with pytest.raises(UserError, match="damaged"):
        ReferenceCache.open(tmp_path, index, VIEWS)


@pytest.mark.parametrize(
    ("wanted", "message"),
    [
        (Manifest(HOLDS, {**MADE_FROM, "base weights": "def"}), "base weights: the cache has abc, this run has def"),
        (Manifest(HOLDS, {**MADE_FROM, "adapter": "none"}), "adapter: the cache has (absent), this run has none"),
        (
            Manifest((*HOLDS, "negative/rejected"), MADE_FROM),
            "this run has clean/chosen, clean/rejected, negative/chosen, negative/rejected",
        ),
    ],
)
def test_what_was_made_from_something_else_is_refused_by_name(tmp_path, index, wanted, message):
    filled(tmp_path, index)
    with pytest.raises(UserError) as caught:
        is_complete(tmp_path, wanted)
    assert message in str(caught.value) and str(caught.value).count("the cache has") == 1


def test_folders_that_are_no_cache_are_left_alone(tmp_path):
    (tmp_path / "thesis.tex").write_text("mine")
    with pytest.raises(UserError, match="holds other files"):
        is_complete(tmp_path, WANTED)
    (tmp_path / "manifest.json").write_text(json.dumps({"holds": 3}))
    with pytest.raises(UserError, match="damaged"):
        read_manifest(tmp_path)
    with pytest.raises(UserError, match="another process"):
        begin(tmp_path / "new", WANTED, busy=True)


ROWS = [
    {"id": "a", "prompt": "USER: what ? ASSISTANT:", "chosen": "a cat", "rejected": "a dog or a bird"},
    {"id": "b", "prompt": "USER: is it a very small bird ? ASSISTANT:", "chosen": "no it is a cat", "rejected": "yes"},
    {"id": "c", "prompt": "USER: what ? ASSISTANT:", "chosen": "two dogs", "rejected": "no dogs"},
]


def data_and_cache(folder, path, processor, **settings) -> tuple[PairDataset, ReferenceCache]:
    """Three records without images; the second one was bad when the values were computed: 1, 2, 3, … for the others."""
    data = PairDataset.open(DataSettings(path=str(path), **settings), processor)
    views = (CHOSEN, REJECTED)
    wanted = Manifest(tuple(map(named, views)), {})
    begin(folder, wanted, busy=False)
    with Unfinished(folder, data.index, wanted) as unfinished:
        for place in range(3):
            counts = {view: data.index.scored(view.response)[place] for view in views}
            unfinished.add(place, None if place == 1 else {view: 1 + np.arange(n, dtype=np.float32) for view, n in counts.items()})
        unfinished.finish()
    return data, ReferenceCache.open(folder, data.index, views)


def test_batches_bring_the_values_where_the_tokens_are_scored(tmp_path, write_lines, vicuna):
    """Two records to a row; the bad record and the padding bring nothing."""
    data, cache = data_and_cache(tmp_path / "reference", write_lines(*ROWS), vicuna, pack=2, on_bad_record="skip")
    (host,) = data.batches(data.ordered_batches(batch_size=4), variants=Variants(()), reference=cache)
    batch = host.batch
    assert batch.valid.sum() == 2 and [name for name, _ in host.skipped] == ["b"] and "no reference log-probs" in host.skipped[0][1]
    for view, logps in batch.reference.items():
        branch = batch.branches[view.response]
        assert logps.dtype == np.float32 and not logps[~branch.scored].any()
        for row, segment in zip(*np.nonzero(batch.valid), strict=True):
            mine = branch.scored[row] & (branch.segments[row] == segment + 1)
            assert mine.any() and logps[row, mine].tolist() == list(range(1, 1 + mine.sum()))


def test_a_record_without_values_is_an_error_unless_bad_ones_are_skipped(tmp_path, write_lines, vicuna):
    data, cache = data_and_cache(tmp_path / "reference", write_lines(*ROWS), vicuna)
    with pytest.raises(RecordError, match="record 'b': has no reference log-probs"):
        list(data.batches(data.ordered_batches(batch_size=3), variants=Variants(()), reference=cache))
