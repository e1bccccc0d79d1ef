"""The real program in processes of its own: started, stopped at a chosen moment, and looked at through what it leaves behind."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from quick_compiling import xla_flags
from training import kill

PATIENCE = 240.0  # seconds until a moment that does not come fails the test; a cold start compiles for half a minute
WITHOUT_TORCH = Path(__file__).parent / "without_torch"
OF_THE_PROCESS = {
    "pairs_per_second",
    "tokens_per_second",
    "step_seconds",
    "data_wait_seconds",
    "peak_memory_bytes",
    "programs",
    "compilations",
}
STOPPED = "TtZX"  # states in /proc of a process that runs no more


class Ended(NamedTuple):
    """code: as subprocess has it, so -9 after SIGKILL. output: standard output and error."""

    code: int
    output: str


class Program:
    """`python -m jax_mdpo ARGUMENTS` in a session of its own. Leaving the context kills what is left of it."""

    def __init__(self, *arguments: object, log: Path, environment: Mapping[str, str] | None = None):
        self.log = log
        with log.open("w") as file:
            self._popen = subprocess.Popen(
                [sys.executable, "-m", "jax_mdpo", *map(str, arguments)],
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=subprocess.STDOUT,
                env={**default_environment(), **(environment or {})},
                cwd=log.parent,
                start_new_session=True,
            )
        self.pid = self._popen.pid

    def __enter__(self) -> "Program":
        return self

    def __exit__(self, *_: object) -> None:
        for pid in session(self.pid):
            os.kill(pid, signal.SIGKILL)
        self._popen.wait()

    @property
    def running(self) -> bool:
        return self._popen.poll() is None

    def ended(self) -> Ended:
        """Waits for the end."""
        code = self._popen.wait(timeout=PATIENCE)
        return Ended(code, self.log.read_text())

    def signal_at(self, moment: Callable[[], bool], send: signal.Signals) -> Ended:
        """Sends `send` at `moment`, which must come, and waits for the end.

        The program is halted and the moment looked at again before the signal is sent: it is then sure that it has not passed.
        """
        self.wait_for(moment)
        self._popen.send_signal(send)
        self._popen.send_signal(signal.SIGCONT)
        return self.ended()

    def wait_for(self, moment: Callable[[], bool]) -> None:
        """Returns at `moment`, with the program halted."""
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline and self.running:
            if moment():
                self._halt()
                if moment():
                    return
                self._popen.send_signal(signal.SIGCONT)
            time.sleep(0.002)
        raise AssertionError(f"the moment did not come; the program wrote:\n{self.log.read_text()}")

    def send(self, number: signal.Signals) -> None:
        self._popen.send_signal(number)

    def _halt(self) -> None:
        self._popen.send_signal(signal.SIGSTOP)
        while self.running and _state_and_session(self.pid)[0] not in STOPPED:
            time.sleep(0.0005)


def run(*arguments: object, log: Path, environment: Mapping[str, str] | None = None) -> Ended:
    """Runs the program to its end."""
    with Program(*arguments, log=log, environment=environment) as program:
        return program.ended()


def default_environment() -> dict[str, str]:
    """This process's environment without torch: the compilation cache is shared, JAX runs on the CPU."""
    inherited = kill.environment()
    path = os.pathsep.join([str(WITHOUT_TORCH), inherited["PYTHONPATH"]])
    return {**inherited, "PYTHONPATH": path, "XLA_FLAGS": xla_flags()}


def session(leader: int) -> list[int]:
    """The living processes of the session that `leader` began, orphans included."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal():
            state, its_session = _state_and_session(int(entry.name))
            if its_session == leader and state not in "ZX":
                found.append(int(entry.name))
    return found


def left_after(program: Program, seconds: float = 20.0) -> list[int]:
    """The processes of an ended program that are still there after a while."""
    deadline = time.monotonic() + seconds
    while (found := session(program.pid)) and time.monotonic() < deadline:
        time.sleep(0.05)
    return found


def _state_and_session(pid: int) -> tuple[str, int]:
    """See proc_pid_stat(5); ("X", 0) for a process that is gone."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return "X", 0
    return fields[0], int(fields[3])


def sealed(run_directory: Path) -> list[int]:
    """The steps whose checkpoints are complete, digests included."""
    return sorted(int(path.parent.name) for path in (run_directory / "checkpoints").glob("*/digests.json") if path.parent.name.isdecimal())


def unsealed(run_directory: Path) -> list[Path]:
    """The checkpoints that are being written, or never were finished."""
    folders = [path for path in (run_directory / "checkpoints").glob("*") if path.is_dir() and "broken" not in path.name]
    return [path for path in folders if not (path / "digests.json").exists()]


def metrics(run_directory: Path, *, without: Sequence[str] = tuple(OF_THE_PROCESS)) -> list[dict[str, float]]:
    """The objects in metrics.jsonl, less what depends on the process that wrote them."""
    lines = map(json.loads, (run_directory / "metrics.jsonl").read_text().splitlines())
    return [{name: value for name, value in line.items() if name not in without} for line in lines]
