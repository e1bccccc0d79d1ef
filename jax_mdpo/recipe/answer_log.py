"""Answers that are written as they come, to a file that a later call continues where this one stopped."""

import itertools
import json
import time
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from jax_mdpo.core.errors import RunError
from jax_mdpo.core.files import write_text
from jax_mdpo.generation.generator import Generator, Skip
from jax_mdpo.generation.requests import Answer, Request
from jax_mdpo.training.json_lines import JsonLines, cut
from jax_mdpo.training.locking import locked
from jax_mdpo.training.progress import Progress

LINES = 50  # at most so many of progress, where the output is no terminal


@contextmanager
def writing_alone(lock: Path) -> Iterator[None]:
    """Holds the file `lock`, so that no second process continues the same answers. Raises RunError where one does."""
    with locked(lock, main=True) as held:
        if held.refusal is not None:
            raise held.refusal
        yield


class AnswerLog:
    """A file of JSON lines, one an answer. What the answers were made from stands beside it, in PATH.origin.

    Opening one that is there continues it: a half-written line is cut off. Raises RunError where it is of another origin.
    """

    def __init__(self, path: Path, origin: Mapping[str, Any], key: Callable[[Mapping[str, Any]], Hashable]):
        """key: the id of the request that a line answers; KeyError where the line answers none."""
        self.path, self._origin, self._key = path, origin, key
        _refuse_other_origin(path, origin)
        self.done = self._cut(None)

    def holds(self, requests: Sequence[Request]) -> bool:
        """Whether each of them is answered."""
        return {request.id for request in requests} <= set(self.done)

    def complete(
        self,
        requests: Sequence[Request],
        model: Callable[[], Generator],
        row: Callable[[Answer], Mapping[str, Any]],
        *,
        skip: Skip | None = None,
        label: str = "generating",
        unit: str = "request",
        passing: bool = False,
    ) -> None:
        """Asks what is not answered yet, with a progress bar. model: is called where anything is. row: an answer as the file holds it.
        passing: see Progress.

        A batch that was not written whole is asked again. Thus batches are those of a run that was never stopped, and so are the answers:
        the lengths of the others in a batch decide how far a prompt is padded, which may round otherwise.
        """
        if self.holds(requests):
            return
        generator = model()
        self.done = self._cut(len(self.done) // generator.rows * generator.rows)
        answered = set(self.done)
        left = [request for request in requests if request.id not in answered]
        count = began = len(requests) - len(left)
        if not self.path.exists():
            write_text(_described(self.path), json.dumps(self._origin, indent=2, ensure_ascii=False) + "\n")
        start, every = time.monotonic(), max(10, len(requests) // LINES)
        with (
            Progress(len(requests), start=began, every=every, passing=passing, label=label, unit=unit) as progress,
            closing(JsonLines(self.path)) as file,
        ):
            for answers in generator.batches(left, skip):
                file.extend([row(answer) for answer in answers])
                self.done += [answer.id for answer in answers]
                for _ in answers:
                    count += 1
                    progress.update(count)
            seconds = time.monotonic() - start
            progress.note(f"{count - began} {unit}s answered in {seconds:.0f} s, {(count - began) / seconds:.3g} a second")

    def _cut(self, rows: int | None) -> list[Hashable]:
        """The keys of the leading whole lines, at most `rows` of them, to which the file is reduced."""
        numbers = itertools.count()
        return [self._key(line) for line in cut(self.path, lambda line: self._answers(line) and (rows is None or next(numbers) < rows))]

    def _answers(self, line: Mapping[str, Any]) -> bool:
        try:
            self._key(line)
        except KeyError:
            return False
        return True


def _described(path: Path) -> Path:
    return path.with_name(f"{path.name}.origin")


def _refuse_other_origin(path: Path, origin: Mapping[str, Any]) -> None:
    if not path.exists():
        return
    if not _described(path).exists():
        raise RunError(f"{path} is in the way: no answers of a model were begun in it", fix="name another place, or remove this file")
    before, now = json.loads(_described(path).read_text(encoding="utf-8")), json.loads(json.dumps(origin))
    changed = sorted(key for key in {**before, **now} if before.get(key) != now.get(key))
    if changed:
        raise RunError(
            f"{path} was begun with another {' and another '.join(changed)}",
            expected=", ".join(f"{key} {before.get(key)}" for key in changed),
            got=", ".join(f"{key} {now.get(key)}" for key in changed),
            fix="name another place, or remove this file to begin anew",
        )
