"""Signals are noted while training and handled as before afterwards."""

import os
import signal
import subprocess
import sys
import threading

import pytest

from jax_mdpo.training.signals import Interrupted, StopSignals, StopVote


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_signal_is_noted_and_the_vote_is_to_stop(number, code):
    with StopSignals() as signals:
        vote = StopVote(signals)
        assert not vote.stopping
        os.kill(os.getpid(), number)
        assert vote.stopping and vote.signal == number
    assert Interrupted(vote.signal, 3).exit_code == code


def test_the_first_signal_counts():
    with StopSignals() as signals:
        os.kill(os.getpid(), signal.SIGINT)
        os.kill(os.getpid(), signal.SIGTERM)
    assert signals.received == signal.SIGINT


def test_the_handlers_from_before_return():
    before = [signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)]
    with StopSignals():
        assert [signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)] != before
    assert [signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)] == before


def test_outside_the_main_thread_nothing_is_caught_and_nothing_breaks():
    seen = []

    def enter():
        with StopSignals() as signals:
            seen.append(signals.received)

    thread = threading.Thread(target=enter)
    thread.start()
    thread.join()
    assert seen == [None]


SECOND_CTRL_C = """
import os, signal
from jax_mdpo.training.signals import StopSignals
with StopSignals():
    os.kill(os.getpid(), signal.SIG{first})
    print("still here", flush=True)
    os.kill(os.getpid(), signal.SIGINT)
    print("not here", flush=True)
"""


@pytest.mark.parametrize("first", ["INT", "TERM"])
def test_a_second_ctrl_c_exits_at_once(first):
    program = subprocess.run([sys.executable, "-c", SECOND_CTRL_C.format(first=first)], capture_output=True, text=True)
    assert (program.returncode, program.stdout) == (130, "still here\n")
