"""The data set as a whole: opened, left out, batched through workers, previewed, cached."""

import json
import pickle
import shutil
import signal
import subprocess
import sys
import threading

import numpy as np
import pytest
from PIL import Image

from jax_mdpo.core.batch import HostBatch
from jax_mdpo.core.errors import RecordError, UserError
from jax_mdpo.core.seeds import generator
from jax_mdpo.data import index as index_module
from jax_mdpo.data.dataset import PairDataset
from jax_mdpo.data.hard_negatives import Crop, RejectedImage
from jax_mdpo.data.settings import DataSettings
from jax_mdpo.data.variants import Variants

ANSWERS = ("two cats", "a dog", "three birds play near the water", "yes", "people watch")


@pytest.fixture
def pairs(pictures, write_lines):
    """Eleven records of different lengths: the data set's path."""
    rows = [
        {
            "id": f"r{number}",
            "image": ("cat.jpg", "dog.jpg")[number % 2],
            "prompt": "what is shown?" + " and what else?" * (number % 3),
            "chosen": " ".join([ANSWERS[number % 5]] * (1 + number % 4)),
            "rejected": "no",
        }
        for number in range(11)
    ]
    return write_lines(*rows)


def opened(path, processor, **settings) -> PairDataset:
    return PairDataset.open(DataSettings(path=str(path), **settings), processor)


def assert_same(one: HostBatch, other: HostBatch) -> None:
    assert one.ids == other.ids and one.skipped == other.skipped
    arrays = [[*batch.images.values(), *batch.prefix, *batch.branches["chosen"], *batch.branches["rejected"], batch.valid]
              for batch in (one.batch, other.batch)]  # fmt: skip
    assert all(np.array_equal(a, b) and a.dtype == b.dtype for a, b in zip(*arrays, strict=True))


BOTH = {"variants": Variants(("clean", "negative"), {"negative": Crop()}, seed=3)}


def test_batches_do_not_depend_on_workers_or_on_where_they_start(pairs, vicuna):
    plain = opened(pairs, vicuna, buckets=2, workers=0)
    plans = [plan for epoch in (0, 1) for plan in plain.epoch_batches(batch_size=2, seed=0, epoch=epoch)]
    expected = list(plain.batches(plans, **BOTH))
    assert len(expected) == 12 and expected[0].batch.images["negative"].shape == (2, 1, 28, 28, 3)
    with_workers = opened(pairs, vicuna, buckets=2, workers=3)
    for start in (0, 5):
        found = list(with_workers.batches(plans, start=start, **BOTH))
        assert len(found) == len(expected) - start
        for one, other in zip(found, expected[start:], strict=True):
            assert_same(one, other)
    resumed = list(plain.batches(plans, start=7, **BOTH))
    for one, other in zip(resumed, expected[7:], strict=True):
        assert_same(one, other)


def test_processes_read_their_rows_of_the_same_batches(pairs, vicuna):
    data = opened(pairs, vicuna)
    plans = data.epoch_batches(batch_size=4, seed=0, epoch=0)
    whole = list(data.batches(plans))
    halves = [list(data.batches(plans, rows=rows)) for rows in ((0, 1), (2, 3))]
    for batch, *parts in zip(whole, *halves, strict=True):
        assert batch.ids == parts[0].ids + parts[1].ids
        assert np.array_equal(batch.batch.prefix.ids, np.concatenate([part.batch.prefix.ids for part in parts]))
        assert np.array_equal(batch.batch.images["clean"], np.concatenate([part.batch.images["clean"] for part in parts]))


def test_the_images_of_a_batch_are_the_framed_files_and_their_seeded_crops(pairs, pictures, vicuna):
    data = opened(pairs, vicuna)
    (batch,) = data.batches(data.ordered_batches(batch_size=11, records=[4])[:1], **BOTH)
    framed = vicuna.frame(Image.open(pictures / "cat.jpg"))
    assert np.array_equal(batch.batch.images["clean"][0, 0], np.asarray(framed))
    box = Crop().box(28, 28, generator(3, "hard_negative", "r4", 0))
    crop = framed.crop(box).resize((28, 28), Image.Resampling.BICUBIC)
    assert np.array_equal(batch.batch.images["negative"][0, 0], np.asarray(crop))
    assert batch.batch.valid[:, 0].tolist() == [True] + [False] * 10 and batch.ids == ("r4", *[""] * 10)


def test_negatives_cost_nothing_where_none_is_asked_for(pairs, vicuna):
    data = opened(pairs, vicuna)
    batch = next(data.batches(data.ordered_batches(batch_size=2)))
    assert set(batch.batch.images) == {"clean"}
    with pytest.raises(ValueError, match="'negative' is asked for, but nothing is given that makes it"):
        Variants(("clean", "negative"))


@pytest.mark.parametrize("workers", [0, 1])
def test_a_bad_image_is_masked_and_listed_or_raised(pairs, pictures, vicuna, workers):
    (pictures / "dog.jpg").write_bytes((pictures / "dog.jpg").read_bytes()[:300])
    skipping = opened(pairs, vicuna, on_bad_record="skip", workers=workers)
    (batch,) = skipping.batches(skipping.ordered_batches(batch_size=11), **BOTH)
    assert batch.batch.valid[:, 0].tolist() == [row % 2 == 0 for row in range(11)]
    assert [id for id, _ in batch.skipped] == [f"r{row}" for row in range(1, 11, 2)]
    assert all("cannot be decoded" in reason and f"'{id}'" in reason for id, reason in batch.skipped)
    assert not batch.batch.prefix.mask[1].any() and not batch.batch.images["clean"][1].any()
    strict = opened(pairs, vicuna, workers=workers)
    with pytest.raises(RecordError, match=r"^record 'r1': its image .*dog.jpg cannot be decoded"):
        list(strict.batches(strict.ordered_batches(batch_size=2)))


def test_an_iterator_left_early_ends_its_workers(pairs, vicuna):
    others = threading.enumerate()
    data = opened(pairs, vicuna, workers=2)
    batches = data.batches(data.ordered_batches(batch_size=1))
    next(batches)
    workers = [thread for thread in threading.enumerate() if thread not in others]
    assert len(workers) == 2
    batches.close()
    for thread in workers:
        thread.join(timeout=10)  # for the batch that it is reading
        assert not thread.is_alive()


def test_bad_records_are_left_out_or_raised_when_the_set_is_opened(pictures, write_lines, vicuna):
    good = {"image": "cat.jpg", "prompt": "what?", "chosen": "two cats", "rejected": "a dog"}
    path = write_lines(
        {**good, "id": "a"},
        {**good, "id": "b", "image": "no.jpg"},
        {**good, "id": "c", "prompt": "<image><image> what?"},
        {**good, "id": "d", "chosen": "cats " * 50},
        {**good, "id": "e"},
    )
    data = opened(path, vicuna, on_bad_record="skip", max_length=60)
    assert [record.id for record in data.records] == ["a", "e"] and len(data) == 2
    assert {id: reason.splitlines()[0] for id, reason in data.skipped}.keys() == {"b", "c", "d"}
    assert len(list(data.batches(data.ordered_batches(batch_size=2)))) == 1
    with pytest.raises(RecordError, match="'b'"):
        opened(path, vicuna, max_length=60)
    only_bad = write_lines({**good, "image": "no.jpg"}, name="pictures/bad.jsonl")
    with pytest.raises(UserError, match="no usable record"):
        opened(only_bad, vicuna, on_bad_record="skip")


def test_records_beyond_the_given_buckets_are_bad(pairs, vicuna):
    with pytest.raises(RecordError, match=r"(?s)longer than the largest bucket.*\[20, 4\]"):
        opened(pairs, vicuna, buckets=((20, 4),))
    data = opened(pairs, vicuna, buckets=((64, 8), (64, 64)))
    assert data.buckets == ((64, 8), (64, 64))


def test_rejected_images(pictures, write_lines, vicuna):
    good = {"image": "cat.jpg", "prompt": "what?", "chosen": "two cats", "rejected": "a dog"}
    path = write_lines({**good, "rejected_image": "dog.jpg"}, {**good, "id": "without"})
    data = opened(path, vicuna)
    ask = {"variants": Variants(("negative",), {"negative": RejectedImage()})}
    (batch,) = data.batches(data.ordered_batches(batch_size=1, records=[0]), **ask)
    expected = vicuna.frame(Image.open(pictures / "dog.jpg"))
    assert np.array_equal(batch.batch.images["negative"][0, 0], np.asarray(expected)) and set(batch.batch.images) == {"negative"}
    with pytest.raises(RecordError, match="'without': brings no rejected image"):
        data.batches(data.ordered_batches(batch_size=1), **ask)
    skipping = opened(path, vicuna, on_bad_record="skip")
    (batch,) = skipping.batches(skipping.ordered_batches(batch_size=2), **ask)
    assert batch.batch.valid[:, 0].tolist() == [True, False] and "brings no rejected image" in batch.skipped[0][1]


def test_text_only_records_have_blank_images_and_no_negatives(pictures, write_lines, vicuna):
    path = write_lines({"image": None, "prompt": "what?", "chosen": "two cats", "rejected": "a dog"})
    data = opened(path, vicuna)
    (batch,) = data.batches(data.ordered_batches(batch_size=1))
    assert batch.batch.valid.all() and not batch.batch.images["clean"].any() and (batch.batch.prefix.slots == -1).all()
    with pytest.raises(RecordError, match="no image to make a hard negative from"):
        data.batches(data.ordered_batches(batch_size=1), **BOTH)


def test_image_bytes_are_kept_as_files(pictures, vicuna, tmp_path):
    import pyarrow as pa
    import pyarrow.parquet as pq

    encoded = (pictures / "cat.jpg").read_bytes()
    row = {"image": {"bytes": encoded, "path": None}, "text": json.dumps({"question": "what?", "chosen": "two cats", "rejected": "a dog"})}
    pq.write_table(pa.Table.from_pylist([row, row]), tmp_path / "pairs.parquet")
    data = opened(tmp_path / "pairs.parquet", vicuna)
    assert data.records[0].image == data.records[1].image and data.records[0].image.read_bytes() == encoded
    assert data.records[0].image.is_relative_to(tmp_path / "cache")
    (batch,) = data.batches(data.ordered_batches(batch_size=2))
    assert np.array_equal(batch.batch.images["clean"][1, 0], np.asarray(vicuna.frame(Image.open(pictures / "cat.jpg"))))


def test_preview(pairs, vicuna):
    data = opened(pairs, vicuna)
    preview = data.pair(1, **BOTH, epoch=2)
    assert preview.prompt == "<s> USER: <image> \nwhat is shown? and what else? ASSISTANT:"
    assert (preview.chosen, preview.rejected) == (" a dog a dog</s>", " no</s>")
    tokens = vicuna.tokenize("USER: <image>\nwhat is shown? and what else? ASSISTANT:", special_tokens=True).ids
    assert preview.prompt_tokens == len(tokens) + 15  # the placeholder becomes 16 features
    assert preview.chosen_tokens == 5 and preview.images["clean"].size == preview.images["negative"].size == (28, 28)
    (batch,) = data.batches([plan._replace(epoch=2) for plan in data.ordered_batches(batch_size=1, records=[1])], **BOTH)
    assert np.array_equal(np.asarray(preview.images["negative"]), batch.batch.images["negative"][0, 0])
    assert set(data.pair(1).images) == {"clean"}


def test_the_token_index_is_read_from_the_cache_and_made_anew_where_it_is_damaged(pairs, vicuna, monkeypatch, tmp_path, caplog):
    first = opened(pairs, vicuna)
    (kept,) = (tmp_path / "cache" / "tokens").iterdir()
    with monkeypatch.context() as patch:
        patch.setattr(index_module, "build_index", None)
        again = opened(pairs, vicuna)
    assert all(first.index.pair(place) == again.index.pair(place) for place in range(len(first)))
    assert np.array_equal(first.index.lengths, again.index.lengths)
    whole = kept.read_bytes()
    kept.write_bytes(whole[: len(whole) // 2])
    assert opened(pairs, vicuna).index.pair(3) == first.index.pair(3) and "damaged" in caplog.text
    opened(pairs, vicuna, max_length=200)
    assert len(list((tmp_path / "cache" / "tokens").iterdir())) == 2  # other settings, another index


def test_faults_survive_the_cache(pictures, write_lines, vicuna):
    good = {"image": "cat.jpg", "prompt": "what?", "chosen": "two cats", "rejected": "a dog"}
    path = write_lines(good, {**good, "prompt": "<image><image>"})
    first, again = (opened(path, vicuna, on_bad_record="skip") for _ in range(2))
    assert first.skipped == again.skipped and "2 times" in first.skipped[0][1]


def test_fingerprint(pairs, pictures, vicuna, tmp_path):
    first = opened(pairs, vicuna).fingerprint()
    moved = tmp_path / "moved"
    shutil.copytree(pictures, moved)
    assert opened(moved / "pairs.jsonl", vicuna).fingerprint() == first
    text = (moved / "pairs.jsonl").read_text()
    (moved / "pairs.jsonl").write_text(text.replace("two cats", "two birds"))
    assert opened(moved / "pairs.jsonl", vicuna).fingerprint() != first
    (moved / "pairs.jsonl").write_text(text)
    with (moved / "cat.jpg").open("ab") as file:
        file.write(b"more")
    assert opened(moved / "pairs.jsonl", vicuna).fingerprint() != first


def test_prompts_without_role_markers_are_warned_of_once(pictures, write_lines, vicuna, caplog):
    good = {"image": "cat.jpg", "prompt": "<image>\nwhat?", "chosen": "two cats", "rejected": "a dog"}
    opened(write_lines(good, good), vicuna)
    assert len([entry for entry in caplog.records if "no role marker" in entry.getMessage()]) == 1
    assert "2 of 2" in caplog.text


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"format": "trll"}, "did you mean 'trl'"),
        ({"columns": {"promt": "q"}}, "did you mean 'prompt'"),
        ({"overlong": "truncate"}, "max_length"),
        ({"buckets": 0}, "at least 1"),
        ({"buckets": ((64, 64), (64, 32))}, "larger than the one before"),
        ({"workers": -1}, "workers"),
        ({"max_image_pixels": 10**9}, "at most"),
    ],
)
def test_settings_that_cannot_be_meant_are_refused(fields, reason):
    with pytest.raises(ValueError, match=reason):
        DataSettings(path="x", **fields)


SCRIPT = """
import pickle, signal, sys
from pathlib import Path

from jax_mdpo.data.dataset import PairDataset
from jax_mdpo.data.settings import DataSettings

signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell starts background jobs with the signal ignored
data = PairDataset.open(DataSettings(path=sys.argv[1], workers=2), pickle.loads(Path(sys.argv[2]).read_bytes()))
batches = data.batches(data.ordered_batches(batch_size=2) * 100_000)
next(batches)
print("reading", flush=True)
for batch in batches:
    pass
"""


def test_workers_do_not_outlive_their_trainer(pairs, vicuna, tmp_path):
    """An iterator that a KeyboardInterrupt leaves open keeps the interpreter from ending no longer than the batches under way."""
    script = tmp_path / "train.py"
    script.write_text(SCRIPT)
    opened(pairs, vicuna)  # the token index is cached, so that the script need not import transformers
    (tmp_path / "processor").write_bytes(pickle.dumps(vicuna))
    arguments = [sys.executable, str(script), str(pairs), str(tmp_path / "processor")]
    with subprocess.Popen(arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None and process.stderr is not None
        assert process.stdout.readline() == "reading\n"
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=30) == -signal.SIGINT
        assert process.stderr.read().count("Traceback") == 1
