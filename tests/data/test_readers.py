"""Every format, from real files, gives the same records; every bad row is named, every bad file refused."""

import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from jax_mdpo.core.errors import UserError
from jax_mdpo.core.records import Message, Record, Text
from jax_mdpo.data.readers.reading import Fault, read_records

PAIR = {"chosen": "two cats", "rejected": "a dog"}


def parquet(path: Path, rows: list[dict]) -> Path:
    pq.write_table(pa.Table.from_pylist(rows), path)
    return path


def only(path: Path, **options) -> Record:
    (record,) = read_records(path, **options)
    assert isinstance(record, Record), record
    return record


def fault(path: Path, **options) -> Fault:
    found = [record for record in read_records(path, **options) if isinstance(record, Fault)]
    assert len(found) == 1, found
    return found[0]


@pytest.mark.parametrize("format", ["auto", "mdpo"])
@pytest.mark.parametrize("array", [True, False])
def test_mdpo(pictures, format, array):
    row = {"img_path": "cat.jpg", "prompt": "what?", **PAIR}
    path = pictures / "pairs.json"
    path.write_text(json.dumps([row], indent=1) if array else json.dumps(row))
    assert only(path, format=format) == Record(0, "what?", "two cats", "a dog", (pictures / "cat.jpg").resolve())


@pytest.mark.parametrize("as_json", [True, False])
@pytest.mark.parametrize("with_bytes", [True, False])
def test_rlhf_v(pictures, as_json, with_bytes):
    encoded = (pictures / "cat.jpg").read_bytes()
    text = {"question": "what?", **PAIR}
    row = {
        "image": {"bytes": encoded if with_bytes else None, "path": "cat.jpg"},
        "text": json.dumps(text) if as_json else text,
        "image_path": "elsewhere.jpg",
    }
    expected = encoded if with_bytes else (pictures / "cat.jpg").resolve()
    assert only(parquet(pictures / "pairs.parquet", [row])) == Record(0, "what?", "two cats", "a dog", expected)


def test_rlhf_v_with_paths_only(pictures):
    path = parquet(pictures / "pairs.parquet", [{"text": json.dumps({"question": "what?", **PAIR}), "image_path": "dog.jpg"}])
    assert only(path).image == (pictures / "dog.jpg").resolve()


@pytest.mark.parametrize("format", ["auto", "rlaif_v"])
def test_rlaif_v(pictures, write_lines, format):
    path = write_lines({"question": "what?", "image": "dog.jpg", "idx": 7, **PAIR})
    assert only(path, format=format) == Record(0, "what?", "two cats", "a dog", (pictures / "dog.jpg").resolve())


USER = {"role": "user", "content": "what?"}
CATS = {"role": "assistant", "content": "two cats"}
DOG = {"role": "assistant", "content": [{"type": "text", "text": "a dog"}]}
EXPECTED_TURNS = {
    "prompt": (Message("user", ("image", Text("what?"))),),
    "chosen": (Message("assistant", (Text("two cats"),)),),
    "rejected": (Message("assistant", (Text("a dog"),)),),
}


@pytest.mark.parametrize("explicit", [True, False])
@pytest.mark.parametrize("placed", [True, False])
def test_trl_messages(pictures, write_lines, explicit, placed):
    user = {"role": "user", "content": [{"type": "image"}, {"type": "text", "text": "what?"}]} if placed else USER
    row = {"prompt": [user], "chosen": [CATS], "rejected": [DOG]} if explicit else {"chosen": [user, CATS], "rejected": [user, DOG]}
    record = only(write_lines({**row, "images": ["cat.jpg"]}))
    assert record == Record(0, **EXPECTED_TURNS, image=(pictures / "cat.jpg").resolve())


def test_trl_parquet_with_image_bytes(pictures):
    encoded = (pictures / "cat.jpg").read_bytes()
    turn = [{"type": "text", "text": "two cats"}]
    other = [{"type": "text", "text": "a dog"}]
    user = {"role": "user", "content": [{"type": "image", "text": None}, {"type": "text", "text": "what?"}]}
    row = {
        "images": [{"bytes": encoded, "path": None}],
        "prompt": [user],
        "chosen": [{"role": "assistant", "content": turn}],
        "rejected": [{"role": "assistant", "content": other}],
    }
    assert only(parquet(pictures / "pairs.parquet", [row])) == Record(0, **EXPECTED_TURNS, image=encoded)


def test_generic_with_own_ids_and_a_rejected_image(pictures, write_lines):
    path = write_lines({"id": "x7", "image": "cat.jpg", "rejected_image": "dog.jpg", "prompt": "what?", **PAIR})
    expected = Record("x7", "what?", "two cats", "a dog", (pictures / "cat.jpg").resolve(), (pictures / "dog.jpg").resolve())
    assert only(path) == expected


def test_generic_parquet_with_raw_bytes(pictures):
    path = parquet(pictures / "pairs.parquet", [{"image": b"pixels", "prompt": "what?", **PAIR}])
    assert only(path).image == b"pixels"


def test_columns_map(pictures, write_lines):
    path = write_lines({"q": "what?", "good": "two cats", "bad": "a dog", "picture": "cat.jpg", "key": 12})
    columns = {"prompt": "q", "chosen": "good", "rejected": "bad", "image": "picture", "id": "key"}
    assert only(path, columns=columns) == Record(12, "what?", "two cats", "a dog", (pictures / "cat.jpg").resolve())


def test_folder_of_parquet_files_is_one_data_set(pictures, tmp_path):
    folder = tmp_path / "parts"
    folder.mkdir()
    for part in (1, 0):
        parquet(folder / f"{part}.parquet", [{"prompt": f"{part}-{row}", "image": "cat.jpg", **PAIR} for row in range(2)])
    records = list(read_records(folder, images=pictures))
    assert [(record.id, record.prompt) for record in records] == [(0, "0-0"), (1, "0-1"), (2, "1-0"), (3, "1-1")]


def test_text_only_records_are_announced(write_lines, pictures, caplog):
    assert only(write_lines({"prompt": "what?", **PAIR})).image is None
    assert "no image column" in caplog.text


GOOD = {"id": "fine", "image": "cat.jpg", "prompt": "what?", **PAIR}
BAD_ROWS = {
    "missing image": ({**GOOD, "image": "no.jpg"}, "does not exist"),
    "image outside": ({**GOOD, "image": "../secret.jpg"}, "leaves the image folder"),
    "image outside, absolute": ({**GOOD, "image": "/etc/hostname"}, "leaves the image folder"),
    "image behind a link": ({**GOOD, "image": "link.jpg"}, "leaves the image folder"),
    "image in a linked folder": ({**GOOD, "image": "away/secret.jpg"}, "leaves the image folder"),
    "null in the path": ({**GOOD, "image": "cat\0.jpg"}, "cannot be followed"),
    "overlong path": ({**GOOD, "image": "a" * 5000}, "cannot be followed"),
    "ring of links": ({**GOOD, "image": "ring.jpg"}, "ring.jpg"),
    "image is a folder": ({**GOOD, "image": "."}, "is not a file"),
    "empty image": ({**GOOD, "image": "empty.jpg"}, "empty file"),
    "two images": ({**GOOD, "image": ["cat.jpg", "dog.jpg"]}, "2 images"),
    "image of wrong type": ({**GOOD, "image": 3}, "image has the wrong type"),
    "rejected image missing": ({**GOOD, "rejected_image": "no.jpg"}, "does not exist"),
    "prompt of wrong type": ({**GOOD, "prompt": 5}, "prompt has the wrong type"),
    "prompt empty": ({**GOOD, "prompt": " "}, "prompt is empty"),
    "prompt missing": ({"id": 1, "image": "cat.jpg", **PAIR}, "has no prompt"),
    "chosen missing": ({**GOOD, "chosen": None}, "has no chosen"),
    "chosen of wrong type": ({**GOOD, "chosen": {"a": 1}}, "chosen has the wrong type"),
    "chosen empty": ({**GOOD, "chosen": " \n"}, "chosen response is empty"),
    "rejected empty": ({**GOOD, "rejected": ""}, "rejected response is empty"),
    "equal": ({**GOOD, "rejected": "two cats"}, "are equal"),
    "answer in turns, prompt not": ({**GOOD, "chosen": [CATS]}, "chosen has the wrong type"),
    "half a surrogate": ({**GOOD, "chosen": "\ud83d"}, "broken character"),
    "id of wrong type": ({**GOOD, "id": [1]}, "id has the wrong type"),
    "message without role": ({**GOOD, "prompt": [{"content": "x"}]}, "prompt has the wrong type"),
    "message with sound": ({**GOOD, "prompt": [{"role": "user", "content": [{"type": "audio"}]}]}, "prompt has the wrong type"),
    "not an object": (b"[1, 2]", "is a JSON list"),
    "not JSON": (b'{"prompt": ', "is not JSON"),
    "not UTF-8": (b'{"prompt": "caf\xe9"}', "is not UTF-8"),
}


@pytest.mark.parametrize("case", BAD_ROWS)
def test_bad_rows_are_named_and_the_others_read(case, pictures, write_lines, tmp_path):
    row, reason = BAD_ROWS[case]
    (tmp_path / "secret.jpg").write_bytes(b"x")
    (pictures / "empty.jpg").write_bytes(b"")
    (pictures / "link.jpg").symlink_to(tmp_path / "secret.jpg")
    (pictures / "away").symlink_to(tmp_path)
    (pictures / "ring.jpg").symlink_to(pictures / "ring.jpg")
    if isinstance(row, dict) and row["id"] == "fine":
        row = {**row, "id": "bad one"}
    found = list(read_records(write_lines({**GOOD, "id": "first"}, row, {**GOOD, "id": "last"})))
    assert [record.id for record in found if isinstance(record, Record)] == ["first", "last"]
    message = str(found[1].error)
    assert reason in message and "row 1 of pairs.jsonl" in message
    if isinstance(row, dict) and row["id"] == "bad one":
        assert found[1].id == "bad one" and "'bad one'" in message


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ({"text": "{broken"}, "text is not JSON"),
        ({"text": json.dumps({"question": "what?", "chosen": "a"})}, "text lacks an answer"),
        ({"text": "3"}, "text lacks an answer"),
    ],
)
def test_rlhf_v_with_a_broken_text(pictures, write_lines, row, reason):
    good = {"image_path": "cat.jpg", "text": json.dumps({"question": "what?", **PAIR})}
    assert reason in str(fault(write_lines(good, {"image_path": "cat.jpg", **row})).error)


def test_trl_without_a_common_first_message(pictures, write_lines):
    good = {"images": ["cat.jpg"], "chosen": [USER, CATS], "rejected": [USER, DOG]}
    assert "has no prompt" in str(fault(write_lines(good, {**good, "chosen": [CATS]})).error)
    assert "wrong type" in str(fault(write_lines(good, {**good, "chosen": "two cats"})).error)


def test_parquet_text_that_is_not_utf8_spoils_its_row_only(pictures):
    broken = pa.Array.from_buffers(pa.string(), 2, [None, pa.py_buffer(b"\0\0\0\0\2\0\0\0\4\0\0\0"), pa.py_buffer(b"ok\xff\xfe")])
    table = pa.table({"prompt": broken, "chosen": ["a", "b"], "rejected": ["c", "d"], "image": ["cat.jpg"] * 2})
    pq.write_table(table, pictures / "pairs.parquet")
    found = list(read_records(pictures / "pairs.parquet"))
    assert found[0].prompt == "ok" and "not UTF-8" in str(found[1].error)


def test_ids_given_twice_name_both_rows(pictures, write_lines):
    found = fault(write_lines(GOOD, {**GOOD, "id": "other"}, GOOD))
    assert "row 2" in str(found.error) and "row 0" in str(found.error) and found.id == "fine"


@pytest.mark.parametrize(
    ("content", "options", "reason"),
    [
        (None, {}, "does not exist"),
        (b"", {}, "no readable row"),
        (b"[]", {}, "no readable row"),
        (b"\xff\xfe", {}, "no readable row"),
        (b"[{]", {}, "not a JSON array"),
        (b'[{"prompt": "caf\xe9"}]', {}, "not a JSON array"),
        (b'{"prompt": "p", "choosen": "c", "rejected": "r"}', {}, "did you mean 'choosen'?"),
        (b'{"prompt": "p", "chosen": "c", "rejected": "r"}', {"format": "mdpo"}, "img_path"),
        (b'{"promt": "p", "chosen": "c", "rejected": "r"}', {"columns": {"prompt": "prom"}}, "did you mean 'promt'?"),
        (b'{"prompt": "p", "chosen": "c", "rejected": "r"}', {"images": Path("/nowhere")}, "image folder"),
    ],
)
def test_files_that_are_no_data_set_are_refused(tmp_path, content, options, reason):
    path = tmp_path / "pairs.jsonl"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(UserError, match="(?s)" + reason.replace("?", r"\?")):
        list(read_records(path, **options))


def test_broken_parquet_and_empty_folders_are_refused(tmp_path):
    (tmp_path / "a.parquet").write_bytes(b"PAR1 and nothing more")
    with pytest.raises(UserError, match="cannot be read as parquet"):
        list(read_records(tmp_path / "a.parquet"))
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match="holds no parquet file"):
        list(read_records(tmp_path / "empty"))
