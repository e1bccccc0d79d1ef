"""A run killed with SIGKILL at any time, and resumed, ends bit for bit as one that was left alone."""

import json
import signal
import sys
from pathlib import Path

import numpy as np
import pytest
from training import kill, toy

STEPS, EVERY = 23, 4


def command(out, *more) -> list[str]:
    return [sys.executable, toy.__file__, str(out), "--steps", str(STEPS), "--every", str(EVERY), *more]


@pytest.fixture(scope="module")
def left_alone(tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("alone") / "run"
    assert kill.run(command(out)) == (0, kill.ANY, False)
    return out


def assert_same_end(out, left_alone):
    found, expected = np.load(out / "final.npz"), np.load(left_alone / "final.npz")
    assert found.files == expected.files
    for name in expected.files:
        np.testing.assert_array_equal(found[name], expected[name])
    assert kill.steps_logged(out) == list(range(1, STEPS + 1))
    assert losses(out) == losses(left_alone)
    assert (out / "skipped.jsonl").read_bytes() == (left_alone / "skipped.jsonl").read_bytes()


def losses(out) -> list[float]:
    return [json.loads(line)["loss"] for line in (out / "metrics.jsonl").read_text().splitlines()]


def test_killed_before_during_and_after_saves_then_damaged_and_terminated(left_alone, tmp_path):
    """One run, stopped four times, each time resumed; every moment is waited for and must have come."""
    out = tmp_path / "run"
    slow = command(out, "--pause", "0.03")
    assert kill.run(slow, kill.logged(out, 2)) == (-signal.SIGKILL, kill.ANY, True)
    assert not list((out / "checkpoints").glob("[0-9]*"))  # that was before the first save
    assert kill.run([*slow, "--resume"], kill.saving(out, 8)) == (-signal.SIGKILL, kill.ANY, True)
    assert kill.run([*slow, "--resume"], kill.saved(out, 12)) == (-signal.SIGKILL, kill.ANY, True)

    newest = out / "checkpoints" / "12"
    flip_a_bit(max(newest.rglob("d/*"), key=lambda path: path.stat().st_size))
    further = kill.steps_logged(out)[-1] + 1  # a step that is not in the log yet
    terminated = kill.run([*slow, "--resume"], kill.logged(out, further), send=signal.SIGTERM)
    assert terminated == (143, kill.ANY, True) and "continue with --resume" in terminated.output
    assert f"{newest} cannot be used" in terminated.output and "resuming from step 8" in terminated.output
    assert (out / "checkpoints" / "12.broken-1").is_dir()
    last = kill.steps_logged(out)[-1]
    assert kill.saved(out, last)() and further <= last < STEPS

    assert kill.run(command(out, "--resume")) == (0, kill.ANY, False)
    assert_same_end(out, left_alone)


def flip_a_bit(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 4
    path.write_bytes(bytes(content))
