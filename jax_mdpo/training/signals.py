"""SIGTERM and SIGINT ask the loop to stop after the step it is in; all processes of a run stop after the same one."""

import os
import signal
import threading
from functools import cache
from types import FrameType, TracebackType
from typing import Any

import jax
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec

CAUGHT = (signal.SIGTERM, signal.SIGINT)


class Interrupted(Exception):
    """Training stopped on a signal, with its state saved. exit_code: what a shell expects of it, 143 on SIGTERM and 130 on SIGINT.

    how: what the user does to go on.
    """

    def __init__(self, received: signal.Signals, step: int, how: str = "continue with --resume"):
        super().__init__(f"stopped by {received.name} after step {step}; the state is saved: {how}")
        self.signal, self.step = received, step
        self.exit_code = 128 + received


class StopSignals:
    """While entered, notes the first SIGTERM or SIGINT instead of dying by it. A second Ctrl-C exits at once, saving nothing.

    Python lets only the main thread handle signals; entered in another one, this catches none.
    """

    def __init__(self) -> None:
        self.received: signal.Signals | None = None
        self._handlers: dict[signal.Signals, Any] = {}

    def __enter__(self) -> "StopSignals":
        if threading.current_thread() is threading.main_thread():
            self._handlers = {number: signal.signal(number, self._note) for number in CAUGHT}
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        for number, handler in self._handlers.items():
            signal.signal(number, handler)
        self._handlers = {}

    def _note(self, number: int, frame: FrameType | None) -> None:
        if self.received is not None and number == signal.SIGINT:
            os._exit(128 + number)
        self.received = self.received or signal.Signals(number)


class StopVote:
    """Whether any process wants to stop, answered alike on all of them without holding up the device.

    Each step every process hands in its flag with `ask`, a small computation queued behind the step's own, and the answer is
    read together with the step's metrics. All read the same answers in the same order, so all stop after the same step.
    """

    def __init__(self, signals: StopSignals):
        self._signals = signals
        self._agreed = False

    def ask(self) -> jax.Array | bool:
        """This step's question; hand it to `hear` when its answer is due."""
        wants = self._signals.received is not None
        return wants if jax.process_count() == 1 else _any_process()(_everywhere(wants))

    def hear(self, answer: jax.Array | bool) -> None:
        """Takes note of an answer, waiting for it where it is not there yet."""
        self._agreed = self._agreed or bool(answer)

    @property
    def stopping(self) -> bool:
        """With one process, whether a signal has come; with several, whether an answer heard so far says so."""
        return self._agreed or (jax.process_count() == 1 and self._signals.received is not None)

    @property
    def signal(self) -> signal.Signals:
        """What this process received; SIGTERM where it was another one that received something."""
        return self._signals.received or signal.SIGTERM


@cache
def _mesh() -> Mesh:
    return Mesh(np.array(jax.devices()), ("devices",))


@cache
def _any_process() -> Any:
    return jax.jit(lambda flags: flags.any(), out_shardings=NamedSharding(_mesh(), PartitionSpec()))


def _everywhere(flag: bool) -> jax.Array:
    """One flag a device, each process filling in its own."""
    sharding = NamedSharding(_mesh(), PartitionSpec("devices"))
    return jax.make_array_from_process_local_data(sharding, np.full(jax.local_device_count(), flag))
