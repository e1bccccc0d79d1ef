"""The run directory: what stands where, who may write to it, and whether a run may continue in it.

config.yaml      the resolved configuration
metrics.jsonl    one object a step
skipped.jsonl    one object a record that was left out
events/          the same metrics for TensorBoard
evaluations/     what evaluations leave behind beside their metrics: <what>/<step>/ each
checkpoints/     training states (Orbax), one folder a step; `<step>.broken-<n>` is one that could not be trusted
adapter/         the trained adapter in PEFT format, written at the end
"""

import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from jax_mdpo.core import files
from jax_mdpo.core.errors import RunError
from jax_mdpo.training.locking import locked
from jax_mdpo.training.processes import decided_by_main, is_main

FREE_KEYS = ("out", "checkpoint", "evaluation", "logging", "data.workers")
"""Keys, with all below them, that may change on resume: they decide how a run is stored and watched, not what it computes."""

ABSENT = "(absent)"


@dataclass(frozen=True)
class RunDirectory:
    """Paths of one run. resuming: it continues an earlier one."""

    path: Path
    resuming: bool = False

    @property
    def config(self) -> Path:
        return self.path / "config.yaml"

    @property
    def metrics(self) -> Path:
        return self.path / "metrics.jsonl"

    @property
    def skipped(self) -> Path:
        return self.path / "skipped.jsonl"

    @property
    def events(self) -> Path:
        return self.path / "events"

    @property
    def evaluations(self) -> Path:
        return self.path / "evaluations"

    @property
    def checkpoints(self) -> Path:
        return self.path / "checkpoints"

    @property
    def adapter(self) -> Path:
        return self.path / "adapter"

    def holds_a_run(self) -> bool:
        """Whether any file of a run stands here."""
        return self.config.exists() or self.has_begun()

    def has_begun(self) -> bool:
        """Whether training has come so far as to write anything."""
        written = (self.metrics, self.skipped, self.events, self.evaluations, self.checkpoints, self.adapter)
        return any(path.exists() for path in written)

    def forget_evaluations(self, after: int) -> None:
        """Removes what evaluations left behind after the step `after`, with which a run goes on."""
        for folder in self.evaluations.glob("*/*"):
            if folder.name.isdecimal() and int(folder.name) > after:
                shutil.rmtree(folder)


@contextmanager
def claimed(out: Path, config: Mapping[str, Any], *, resume: bool, free: tuple[str, ...] = FREE_KEYS) -> Iterator[RunDirectory]:
    """The run directory at `out`, locked for as long as the context lasts, with `config` (plain values) stored in it.

    Raises RunError where it holds a run and `resume` is False, where it holds none and `resume` is True, where the stored
    configuration differs in a key outside `free` (each is listed, old -> new), and where another process trains into it.
    With several processes, process 0 decides and holds the lock.
    """
    run = RunDirectory(out.absolute(), resuming=resume)
    decided_by_main(lambda: _require_run(run) if resume else 0)
    with locked(run.path / ".lock", main=is_main()) as lock:
        decided_by_main(lambda: _admit(run, lock.refusal, _plain(config), free))
        try:
            yield run
        except BaseException:
            if is_main() and not (run.resuming or run.has_begun()):
                run.config.unlink(missing_ok=True)  # a mistyped path, say: the corrected command must not meet a run in its way
            raise


def _admit(run: RunDirectory, refusal: RunError | None, config: dict[str, Any], free: tuple[str, ...]) -> int:
    if refusal is not None:
        raise refusal
    if run.resuming:
        _refuse_changes(run, config, free)
    elif run.holds_a_run():
        raise RunError(f"{run.path} holds a run already", fix="continue it with --resume, or choose another out=")
    files.write_text(run.config, yaml.safe_dump(config, sort_keys=False, allow_unicode=True))
    return 0


def _require_run(run: RunDirectory) -> int:
    if not run.config.is_file():
        raise RunError(
            f"there is no run to resume in {run.path}", expected=f"the file {run.config.name}", fix="leave out --resume, or check out="
        )
    return 0


def _refuse_changes(run: RunDirectory, config: dict[str, Any], free: tuple[str, ...]) -> None:
    changed = differences(_stored(run.config), config, free)
    if changed:
        raise RunError(
            f"the configuration differs from the one {run.path} was started with:\n" + "\n".join(f"  - {line}" for line in changed),
            fix="put the old values back, or start a new run with another out=",
        )


def _stored(path: Path) -> dict[str, Any]:
    try:
        stored = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise RunError(f"{path} cannot be read: {error}", fix="restore it, or start a new run with another out=") from None
    if not isinstance(stored, dict):
        raise RunError(f"{path} cannot be read", expected="a mapping", got=type(stored).__name__, fix="restore it, or use another out=")
    return stored


def differences(old: Mapping[str, Any], new: Mapping[str, Any], free: tuple[str, ...] = ()) -> list[str]:
    """One line "key: old -> new" for each dotted key whose value differs, except those at or below a key of `free`."""
    before, after = dict(_flat(old)), dict(_flat(new))
    keys = [key for key in {**before, **after} if not any(key == name or key.startswith(f"{name}.") for name in free)]
    return [
        f"{key}: {before.get(key, ABSENT)!r} -> {after.get(key, ABSENT)!r}"
        for key in keys
        if before.get(key, ABSENT) != after.get(key, ABSENT)
    ]


def _flat(values: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in values.items():
        if isinstance(value, Mapping) and value:
            yield from _flat(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value


def _plain(config: Mapping[str, Any]) -> dict[str, Any]:
    """`config` as it will be read back, so that a tuple equals the list it becomes."""
    return yaml.safe_load(yaml.safe_dump(dict(config), sort_keys=False))
