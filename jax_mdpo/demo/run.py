"""The demo: the whole path from pictures on disk to an exported checkpoint, with figures from before and after."""

import itertools
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console

import jax_mdpo
from jax_mdpo.core.errors import RunError
from jax_mdpo.core.files import write_text
from jax_mdpo.demo.checkpoint import write_checkpoint_files
from jax_mdpo.demo.stages import Stages
from jax_mdpo.demo.world import World, write_world
from jax_mdpo.models.families.llava.scratch import write_scratch
from jax_mdpo.recipe.configuration import settings_of
from jax_mdpo.recipe.settings import RunSettings
from jax_mdpo.recipe.shipped import find_config
from jax_mdpo.recipe.yaml_files import read_yaml

SUMMARY = "demo.json"  # written last: a folder that holds it is a finished demo's


@dataclass(frozen=True)
class Figures:
    """Shares and means over held-out pairs, before and after training.

    truth: of pairs whose true answer is likelier than the false one. sight: whose true answer is likelier given the picture than given
    a small crop of it. reward: the mean of β · (log π − log π_ref) of the true answers, in nats; 0 before training.
    """

    truth: tuple[float, float]
    sight: tuple[float, float]
    reward: tuple[float, float]

    def __str__(self) -> str:
        return (
            f"held-out, before → after: true answer preferred {self.truth[0]:.0%} → {self.truth[1]:.0%} · "
            f"picture preferred to crop {self.sight[0]:.0%} → {self.sight[1]:.0%} · "
            f"mean reward of true answers {self.reward[0]:.2f} → {self.reward[1]:.2f}"
        )


def run_demo(out: str | Path | None = None, overrides: Mapping[str, Any] | None = None) -> Figures:
    """Makes a world and a tiny LLaVA in `out`, trains mDPO on it, exports, scores held-out pairs, and draws a preview.

    out: a new folder; where not given, the first of demo-run, demo-run-2, … that does not exist.
    overrides: settings put over configs/demo.yaml's, key by key. Prints a line of figures, and time and memory by stage.
    Raises RunError where `out` holds something already.
    """
    out = _new_folder(out)
    console, stages = Console(highlight=False), Stages()
    with stages("world and model"):
        world = write_world(out / "world")
        write_scratch(write_checkpoint_files(out / "model"), seed=0)
    settings = demo_settings(out, world, overrides or {})
    with stages("preview"):
        jax_mdpo.preview(settings, out / "preview.png")
        jax_mdpo.preview(settings, out / "preview.html")
    with stages("train"):
        run = jax_mdpo.train(settings)
    with stages("export"):
        adapter = jax_mdpo.export(run, format="peft", out=out / "adapter")
        jax_mdpo.export(run, format="hf", out=out / "merged")
    with stages("score"):
        scores = jax_mdpo.score(out / "model", world.held_out, adapter=adapter, images=world.images, out=out / "scores.jsonl")
    figures = figures_of(scores)
    write_text(out / SUMMARY, json.dumps({"figures": vars(figures), "stages": stages.rows()}, indent=2) + "\n")
    console.print(stages.table())
    console.print(f"{out}: preview.png, preview.html, run/metrics.jsonl, adapter/ (PEFT), merged/ (transformers), scores.jsonl")
    console.print(str(figures), style="bold", soft_wrap=True)
    return figures


def demo_settings(out: Path, world: World, overrides: Mapping[str, Any]) -> RunSettings:
    """configs/demo.yaml with the paths of this demo in it."""
    path = find_config("demo.yaml")
    values = read_yaml(path)
    values["model"] = {**values["model"], "path": str(out / "model")}
    values["data"] = {**values["data"], "path": str(world.train), "images": str(world.images)}
    values["eval_data"] = {**values["eval_data"], "path": str(world.held_out), "images": str(world.images)}
    return settings_of({**values, "out": str(out / "run"), **overrides}, where=str(path))


def figures_of(scores: Sequence[Mapping[str, Any]]) -> Figures:
    """The figures of `score`'s objects; "before" is the reference, which is the model without its adapter."""

    def share(better: str, worse: str) -> tuple[float, float]:
        before = sum(row[f"ref_{better}"] > row[f"ref_{worse}"] for row in scores)
        after = sum(row[better] > row[worse] for row in scores)
        return before / len(scores), after / len(scores)

    reward = sum(row["chosen_reward"] for row in scores) / len(scores)
    return Figures(share("chosen_logp", "rejected_logp"), share("chosen_logp", "negative_logp"), (0.0, reward))


def _new_folder(out: str | Path | None) -> Path:
    if out is None:
        names = itertools.chain(["demo-run"], (f"demo-run-{number}" for number in itertools.count(2)))
        return next(folder for folder in map(Path, names) if not folder.exists())
    out = Path(out)
    if out.exists() and not (out.is_dir() and not any(out.iterdir())):
        raise RunError(
            f"{out} is there already",
            expected="a new folder, so that nothing is overwritten",
            got="the results of an earlier demo" if (out / SUMMARY).exists() else "other files, or a demo that was cut off",
            fix=f"remove it (rm -r {out}), or name another: jax-mdpo demo --out FOLDER",
        )
    return out
