"""Two processes of one run agree: on what process 0 decides, on which records were skipped, and on the step to stop after."""

import json
import signal
import socket
import subprocess
import sys
import time

from training import kill, toy

PATIENCE = 90.0


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Pair:
    """Two toy trainers under jax.distributed on loopback, into one run directory."""

    def __init__(self, out, *more):
        address = f"127.0.0.1:{free_port()}"
        self.programs = [
            subprocess.Popen(
                [sys.executable, toy.__file__, str(out), *more, "--process", str(index), "--coordinator", address],
                stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=kill.environment(),
            )
            for index in range(2)
        ]  # fmt: skip

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for program in self.programs:
            program.kill()
            program.communicate()

    def wait(self) -> tuple[list[int], list[str]]:
        outputs = [program.communicate(timeout=PATIENCE)[0] for program in self.programs]
        return [program.returncode for program in self.programs], outputs


def wait_for(moment, pair):
    deadline = time.monotonic() + PATIENCE
    while not moment():
        assert time.monotonic() < deadline and all(program.poll() is None for program in pair.programs), pair.wait()
        time.sleep(0.005)


def test_both_stop_after_the_same_step_and_resume_together(tmp_path):
    out = tmp_path / "run"
    with Pair(out, "--pause", "0.05", "--steps", "200", "--every", "50") as pair:
        wait_for(kill.logged(out, 5), pair)
        pair.programs[1].send_signal(signal.SIGTERM)  # only the process that writes nothing is told
        codes, outputs = pair.wait()
    assert codes == [143, 143], outputs
    stopped_at = kill.steps_logged(out)[-1]
    assert kill.saved(out, stopped_at)() and 5 <= stopped_at < 50
    assert all(f"after step {stopped_at};" in output for output in outputs)
    skipped = [json.loads(line)["id"] for line in (out / "skipped.jsonl").read_text(encoding="utf-8").splitlines()]
    assert sorted(skipped) == sorted(f"{name}@{process}" for name in ["b", "ä", "c0", "c1", "c2", "c3"] for process in (0, 1))

    with Pair(out, "--resume", "--steps", "200", "--every", "50", "--learning-rate", "0.3") as pair:
        codes, outputs = pair.wait()
    assert codes == [1, 1] and "learning_rate: 0.1 -> 0.3" in outputs[0] and "process 0 stopped this run" in outputs[1]

    with Pair(out, "--resume", "--steps", str(stopped_at + 4), "--every", "50") as pair:
        codes, outputs = pair.wait()
    assert codes == [0, 0], outputs
    assert kill.steps_logged(out) == list(range(1, stopped_at + 5))
    lines = map(json.loads, (out / "metrics.jsonl").read_text().splitlines())
    counts = [round(line["pairs_per_second"] * line["step_seconds"]) for line in lines]
    assert counts[:5] == [8, 8, 4, 0, 8]  # both processes' pairs
