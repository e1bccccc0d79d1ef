"""A term and a hard negative from outside the package, named in a configuration, train without a line of it being edited."""

import json
import shutil
from dataclasses import replace

import needs_torch  # noqa: F401
import numpy as np
import pytest
import yaml
from mdpo_world import make_world
from own_parts import write_own_parts

from jax_mdpo.data.dataset import PairDataset
from jax_mdpo.recipe.configuration import read_settings
from jax_mdpo.recipe.loading import load
from jax_mdpo.recipe.parts import variants_of
from jax_mdpo.recipe.training import train
from jax_mdpo.training.settings import CheckpointSettings


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A finished run of three steps, its configuration, and its checkpoint's folder."""
    world, folder = make_world(tmp_path_factory.mktemp("world")), tmp_path_factory.mktemp("own")
    write_own_parts(folder)
    values = {
        "model": {"path": str(world.folder)},
        "data": {"path": str(world.data)},
        "objectives": [{"name": "my_parts:Squared", "margin": 0.5}],
        "hard_negative": {"name": "my_parts:Mirror", "upside_down": True},
        "optimizer": {"learning_rate": 0.02},
        "batch": {"pairs": 5, "logits_chunk": 8},
        "steps": 3,
        "out": str(folder / "run"),
    }
    (folder / "run.yaml").write_text(yaml.safe_dump(values))
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(folder)
        settings = read_settings(folder / "run.yaml")
        yield train(settings), settings, world


def test_the_term_trains_and_its_running_value_is_kept(run):
    folder, *_ = run
    steps = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    assert steps[0]["loss"] == pytest.approx(2.0 * 0.5**2, rel=1e-5), "at the start both log-ratios are zero"
    assert steps[0]["grad_norm"] > 0 and steps[2]["loss"] != steps[0]["loss"]
    sums = np.cumsum([0.0, *(one["squared/loss"] for one in steps)])
    assert [one["squared/before"] for one in steps] == pytest.approx(sums[:3].tolist(), rel=1e-5)


def test_a_resumed_run_goes_on_with_the_running_value(run, tmp_path):
    """Three steps at once; or three, the last one's checkpoint lost, and that step again."""
    folder, settings, _ = run
    again = replace(settings, out=str(tmp_path / "run"), checkpoint=CheckpointSettings(every=2))
    train(again)
    shutil.rmtree(tmp_path / "run" / "checkpoints" / "3")
    train(again, resume=True)
    ours, theirs = (json.loads((one / "metrics.jsonl").read_text().splitlines()[-1]) for one in (tmp_path / "run", folder))
    assert ours["step"] == theirs["step"] == 3
    assert all(ours[name] == theirs[name] for name in ("loss", "squared/before", "grad_norm"))


def test_the_negative_is_made_by_it(run):
    _, settings, world = run
    data = PairDataset.open(settings.data, load(world.folder).processor)
    (host, *_) = data.batches(data.ordered_batches(batch_size=5), variants=variants_of(settings, ("clean", "negative")))
    assert np.array_equal(host.batch.images["negative"], host.batch.images["clean"][:, :, ::-1])
    written = yaml.safe_load((run[0] / "config.yaml").read_text())
    assert written["hard_negative"] == {"name": "my_parts:Mirror", "upside_down": True}
