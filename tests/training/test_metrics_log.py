"""Each step stands once in metrics.jsonl and each record once in skipped.jsonl, whatever a killed run left in them."""

import json
from contextlib import closing
from dataclasses import replace

import pytest
from tensorboardX.proto.event_pb2 import Event
from tensorboardX.record_writer import RecordWriter

from jax_mdpo.training.json_lines import JsonLines, cut
from jax_mdpo.training.metrics_log import LeftOut, MetricsLog


def lines(path):
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def test_a_resumed_log_continues_after_the_restored_step(run_directory):
    with closing(MetricsLog(run_directory, 0)) as log:
        for step in (1, 2, 3):
            log.write(step, {"loss": step / 2})
        log.skip([LeftOut("a", "first reason"), LeftOut(7, "no image")])
    with run_directory.metrics.open("a") as file:
        file.write('{"step": 4, "lo')
    with closing(MetricsLog(replace(run_directory, resuming=True), 2)) as log:
        log.skip([LeftOut("a", "again"), LeftOut("7", "a string, not the number"), LeftOut("b", "späte Zeile"), LeftOut("b", "again")])
        log.write(3, {"loss": -1.0})
        assert log.skipped_count == 4
    assert lines(run_directory.metrics) == [{"step": 1, "loss": 0.5}, {"step": 2, "loss": 1.0}, {"step": 3, "loss": -1.0}]
    assert [line["id"] for line in lines(run_directory.skipped)] == ["a", 7, "7", "b"]
    assert lines(run_directory.skipped)[-1] == {"id": "b", "reason": "späte Zeile", "data": "data"}


def test_a_line_is_in_the_file_when_write_returns(run_directory):
    with closing(MetricsLog(run_directory, 0)) as log:
        log.write(1, {"loss": float("nan"), "grad_norm": float("inf")})
        assert lines(run_directory.metrics) == [{"step": 1, "loss": None, "grad_norm": None}]


def test_tensorboard_events_hold_the_finite_values(run_directory):
    with closing(MetricsLog(run_directory, 0)) as log:
        log.write(5, {"loss": 0.25, "grad_norm": float("nan")})
    found = {value.tag: (event.step, value.simple_value) for event in events(run_directory) for value in event.summary.value}
    assert found == {"loss": (5, 0.25)}


def test_a_resumed_run_hides_later_events(run_directory):
    with closing(MetricsLog(replace(run_directory, resuming=True), 6)):
        pass
    assert [event.step for event in events(run_directory) if event.HasField("session_log")] == [7]


def events(run):
    """The events of all files, read by the framing of TFRecord: 8 bytes of length, 4 of checksum, the event, 4 of checksum."""
    assert RecordWriter  # the writer of this framing
    for path in run.events.iterdir():
        content = path.read_bytes()
        while content:
            size = int.from_bytes(content[:8], "little")
            yield Event.FromString(content[12 : 12 + size])
            content = content[16 + size :]


@pytest.mark.parametrize("tail", [b'{"step": 3', b'{"step": 3}', b"not json\n", b"[1]\n", b"\xff\xfe\n", b"\n", b'{"step": 3}\x00\n'])
def test_everything_from_the_first_line_that_is_not_whole_is_cut(tmp_path, tail):
    path = tmp_path / "x.jsonl"
    path.write_bytes(b'{"step": 1}\n{"step": 2}\n' + tail)
    assert cut(path, lambda line: True) == [{"step": 1}, {"step": 2}]
    assert path.read_bytes() == b'{"step": 1}\n{"step": 2}\n'
    assert [found.name for found in tmp_path.iterdir()] == ["x.jsonl"]


def test_lines_with_unusual_text_survive(tmp_path):
    path = tmp_path / "x.jsonl"
    values = {"id": "a\nb\u2028c\x1ed", "reason": 'quote " and ü'}
    with closing(JsonLines(path)) as file:
        file.append(values)
    assert cut(path, lambda line: True) == [values]
