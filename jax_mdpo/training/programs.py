"""How many programs this process made ready to run, and whether it made one where none was to be expected.

XLA compiles a program for each combination of array shapes, so a run makes its programs on the first pass over its length buckets,
at the first evaluation and at the first save. A program that is made later costs as much again, and says that something varies.
"""

from collections.abc import Hashable
from functools import cache
from typing import Any, NamedTuple

from jax import monitoring

MADE = "/jax/core/compile/backend_compile_duration"  # of every program, whether XLA compiled it or the persistent cache held it
FOUND = "/jax/compilation_cache/cache_hits"


class Programs(NamedTuple):
    """programs: made ready by this process. compilations: those of them that XLA compiled; the others came from the persistent cache."""

    programs: int
    compilations: int


class ProgramCount:
    """The programs that were made ready since this object was."""

    def __init__(self) -> None:
        self._before = _events().totals()
        self._seen: set[Hashable] = set()
        self._noted = 0

    def now(self) -> Programs:
        """Programs so far."""
        return Programs(*(total - before for total, before in zip(_events().totals(), self._before, strict=True)))

    def again(self, occasion: Hashable) -> int:
        """How many programs were made since the last call; 0 where `occasion`, for which they were made, is there for the first time."""
        new, self._noted = self.now().programs - self._noted, self.now().programs
        known = occasion in self._seen
        self._seen.add(occasion)
        return new if known else 0


class _Events:
    """Counts events of jax.monitoring, whose listeners are the whole process's and stay."""

    def __init__(self) -> None:
        self._made = self._found = 0
        monitoring.register_event_duration_secs_listener(self._hear_duration)
        monitoring.register_event_listener(self._hear)

    def totals(self) -> Programs:
        return Programs(self._made, self._made - self._found)

    def _hear_duration(self, event: str, seconds: float, **_: Any) -> None:
        self._made += event == MADE

    def _hear(self, event: str, **_: Any) -> None:
        self._found += event == FOUND


@cache
def _events() -> _Events:
    return _Events()
