"""One process at a time: a lock that the kernel drops when its holder dies, by SIGKILL too."""

import fcntl
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from jax_mdpo.core.errors import RunError


@dataclass(frozen=True)
class Lock:
    """The outcome of asking for a lock. refusal: None where it is held."""

    refusal: RunError | None


@contextmanager
def locked(path: Path, *, main: bool) -> Iterator[Lock]:
    """Asks for the lock file `path` and keeps it to the end of the context; processes other than the main one ask for nothing.

    A record lock (lockf) belongs to this process alone: none that it started and that outlives it keeps it.
    """
    if not main:
        yield Lock(refusal=None)
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a+", encoding="utf-8") as file:
        try:
            fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            file.seek(0)
            holder = file.read().strip() or "another process"
            yield Lock(RunError(f"{path.parent} is in use by {holder}", fix="wait until it ends, stop it, or choose another out="))
            return
        file.truncate(0)
        file.write(f"process {os.getpid()} on {socket.gethostname()}\n")
        file.flush()
        yield Lock(refusal=None)
