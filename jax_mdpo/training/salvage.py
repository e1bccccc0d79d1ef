"""Which checkpoints of a killed run can be trusted.

Those that cannot are moved aside, never deleted, so that their steps can be saved again.
"""

import itertools
import logging
from pathlib import Path

from jax_mdpo.core.errors import RunError
from jax_mdpo.training.digests import UNFINISHED, fault

logger = logging.getLogger(__name__)


def newest_sound(folder: Path) -> int | None:
    """The newest step under `folder` whose files match their digests; None where no checkpoint was ever finished.

    Every damaged or unfinished checkpoint is renamed to `<step>.broken-<n>`, with a warning that names it and the reason.
    Raises RunError, with nothing renamed, where checkpoints were finished and none of them can be trusted.
    """
    faults = {step: fault(folder / str(step)) for step in _steps(folder)}
    sound = [step for step, reason in faults.items() if reason is None]
    damaged = {step: reason for step, reason in faults.items() if reason is not None}
    if damaged and not sound and not _first_save_cut_short(damaged):
        raise _hopeless(folder, damaged)
    newest = max(sound, default=None)
    for step, reason in damaged.items():
        aside = _move_aside(folder, step)
        logger.warning(
            "checkpoint %s cannot be used: %s. It now lies in %s; %s.", folder / str(step), reason, aside.name, _instead(step, newest)
        )
    return newest


def _instead(step: int, newest: int | None) -> str:
    if newest is None:
        return "starting from step 0"
    return f"resuming from step {newest}" if step > newest else f"step {newest} is newer and sound"


def _steps(folder: Path) -> list[int]:
    if not folder.is_dir():
        return []
    return sorted((int(path.name) for path in folder.iterdir() if path.name.isdecimal() and path.is_dir()), reverse=True)


def _first_save_cut_short(damaged: dict[int, str]) -> bool:
    return list(damaged.values()) == [UNFINISHED]


def _move_aside(folder: Path, step: int) -> Path:
    free = (folder / f"{step}.broken-{count}" for count in itertools.count(1))
    aside = next(path for path in free if not path.exists())
    return (folder / str(step)).rename(aside)


def _hopeless(folder: Path, damaged: dict[int, str]) -> RunError:
    return RunError(
        f"no checkpoint in {folder} can be trusted",
        expected="at least one whose files match its digests.json",
        got="; ".join(f"step {step}: {reason}" for step, reason in damaged.items()),
        fix=f"restore the files from a backup, start a new run with another out=, or remove {folder} to begin this one again from step 0",
    )
