"""Training checkpoints: Orbax writes and keeps them, our digests tell whether they can be trusted."""

import math
from collections.abc import Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from types import TracebackType
from typing import Any, TypeVar

import jax
import orbax.checkpoint as ocp
from orbax.checkpoint.checkpoint_managers import AnyPreservationPolicy, BestN, LatestN

from jax_mdpo.core.errors import RunError
from jax_mdpo.training.digests import write_digests
from jax_mdpo.training.processes import decided_by_main, is_main
from jax_mdpo.training.salvage import newest_sound
from jax_mdpo.training.settings import BestMetric, CheckpointSettings

State = TypeVar("State")
NONE_SOUND = -1


class Checkpoints:
    """The checkpoints of one run, one folder a step under `folder`, saved while training goes on.

    identity: names and digests of what a state belongs to (data, base weights); a state saved under another identity is refused.
    Opening moves checkpoints aside that do not match their digests (see salvage.py); what remains can be trusted.
    Raises RunError where none can. With several processes each opens it, on a folder that all of them see.
    """

    def __init__(self, folder: Path, settings: CheckpointSettings, identity: Mapping[str, str]):
        self._folder = folder.absolute()
        self._settings = settings
        self._identity = dict(identity)
        latest = decided_by_main(lambda: _or_none_sound(newest_sound(self._folder)))
        self.latest: int | None = None if latest == NONE_SOUND else latest
        self._manager = ocp.CheckpointManager(self._folder, options=_options(settings))
        self._background = ThreadPoolExecutor(max_workers=1, thread_name_prefix="digests")
        self._sealing: Future[None] | None = None

    def restore(self, like: State) -> State:
        """The newest state, with the shapes, dtypes and shardings of `like`. Raises RunError where it belongs to something else."""
        assert self.latest is not None, "there is nothing to restore"
        meta = self._manager.restore(self.latest, args=ocp.args.Composite(meta=ocp.args.JsonRestore())).meta
        self._refuse_other_identity(meta["identity"])
        abstract = jax.tree.map(lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=x.sharding), like)
        return self._manager.restore(self.latest, args=ocp.args.Composite(state=ocp.args.StandardRestore(abstract))).state

    def save(self, step: int, state: Any, metrics: Mapping[str, float]) -> None:
        """Starts to save `state` and returns once its arrays are copied off the devices; waits for the save before, if it still runs."""
        self.wait()
        meta = {"step": step, "identity": self._identity, "metrics": _finite(metrics)}
        items = ocp.args.Composite(state=ocp.args.StandardSave(state), meta=ocp.args.JsonSave(meta))
        self._manager.save(step, args=items, metrics=_finite(metrics), force=True)
        if is_main():
            self._sealing = self._background.submit(self._seal, step)

    def best_step(self) -> int | None:
        """The step of the best checkpoint by the metric in the settings; None where no metric was named or nothing is saved."""
        return self._manager.best_step() if self._settings.best is not None else None

    def wait(self) -> None:
        """Returns when the last save is complete on disk, digests included; raises what went wrong in it."""
        if self._sealing is not None:
            sealing, self._sealing = self._sealing, None
            sealing.result()
        self._manager.wait_until_finished()

    def close(self) -> None:
        """Waits for the last save and frees the threads."""
        try:
            self.wait()
        finally:
            self._background.shutdown()
            self._manager.close()

    def __enter__(self) -> "Checkpoints":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def _seal(self, step: int) -> None:
        self._manager.wait_until_finished()
        write_digests(self._folder / str(step))

    def _refuse_other_identity(self, saved: Mapping[str, str]) -> None:
        names = sorted(saved.keys() | self._identity.keys())
        differing = [name for name in names if saved.get(name) != self._identity.get(name)]
        if differing:
            raise RunError(
                f"the checkpoint of step {self.latest} in {self._folder} belongs to something else: {', '.join(differing)} changed",
                expected="; ".join(f"{name} {saved.get(name)}" for name in differing),
                got="; ".join(f"{name} {self._identity.get(name)}" for name in differing),
                fix="put back what the run was started with, or start a new run with another out=",
            )


def _or_none_sound(step: int | None) -> int:
    return NONE_SOUND if step is None else step


def _options(settings: CheckpointSettings) -> ocp.CheckpointManagerOptions:
    """At least two are kept, so while the newest is being sealed there is one whose digests are complete."""
    policies: list[Any] = [LatestN(settings.keep)]
    if settings.best is None:
        return ocp.CheckpointManagerOptions(preservation_policy=AnyPreservationPolicy(policies), cleanup_tmp_directories=True)
    best, minimise = settings.best, settings.best.mode == "min"
    policies.append(BestN(get_metric_fn=lambda metrics: _quality(best, metrics), reverse=minimise, n=1))
    return ocp.CheckpointManagerOptions(
        preservation_policy=AnyPreservationPolicy(policies),
        best_fn=lambda metrics: _quality(best, metrics),
        best_mode=best.mode,
        cleanup_tmp_directories=True,
    )


def _quality(best: BestMetric, metrics: Mapping[str, float]) -> float:
    """A checkpoint without the metric (saved on SIGTERM, between evaluations) ranks below all others."""
    return metrics.get(best.metric, math.inf if best.mode == "min" else -math.inf)


def _finite(metrics: Mapping[str, float]) -> dict[str, float]:
    return {name: float(value) for name, value in metrics.items() if math.isfinite(value)}
