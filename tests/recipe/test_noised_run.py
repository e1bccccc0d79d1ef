"""UE-DPO inside mDPO, with what can be kept on disk kept there or computed in every step: the same run."""

import json
import shutil

import needs_torch  # noqa: F401
import pytest
from mdpo_world import make_world

from jax_mdpo.core.errors import UserError
from jax_mdpo.recipe.configuration import settings_of
from jax_mdpo.recipe.training import prepare, train

OBJECTIVES = [{"name": "dpo", "weights": {"name": "uncertainty", "alpha": 0.3}}, "conditional", "anchored"]
NEGATIVE = {"name": "mixture", "of": ["crop", {"name": "token_mask", "share": 0.5}]}


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    return make_world(tmp_path_factory.mktemp("world"))


def run_of(world, folder, **changes):
    return settings_of(
        {
            "model": {"path": str(world.folder)},
            "data": {"path": str(world.data)},
            "objectives": OBJECTIVES,
            "hard_negative": NEGATIVE,
            "noise": {"step": 500},
            "negatives": "fixed",
            "optimizer": {"learning_rate": 0.01},
            "batch": {"pairs": 4, "logits_chunk": 8},
            "steps": 2,
            "out": str(folder / "run"),
            **changes,
        }
    )


def metrics(world, folder, **changes):
    return [json.loads(line) for line in (train(run_of(world, folder, **changes)) / "metrics.jsonl").read_text().splitlines()]


@pytest.fixture(scope="module")
def online(world, tmp_path_factory):
    return metrics(world, tmp_path_factory.mktemp("online"))


def test_its_log_tells_of_the_weights(online):
    for one in online:
        assert 0 < one["tokens/weighted_chosen"] < 1 and 0 < one["tokens/weighted_rejected"] < 1
        assert one["tokens/uncertainty_chosen"] != 0
    assert {"loss/dpo", "loss/conditional", "loss/anchor"} <= online[0].keys()


@pytest.mark.parametrize(
    "changes",
    [{"reference": {"cache": "reference"}, "vision": {"cache": "vision"}}, {"batch": {"pairs": 4, "accumulation": 2, "logits_chunk": 8}}],
    ids=["cached", "accumulated"],
)
def test_it_does_not_matter_where_values_come_from(world, online, tmp_path, monkeypatch, changes):
    monkeypatch.chdir(tmp_path)
    found = metrics(world, tmp_path, **changes)
    for ours, theirs in zip(found, online, strict=True):
        for name in ("loss", "loss/dpo", "loss/conditional", "grad_norm", "tokens/weighted_chosen", "tokens/uncertainty_rejected"):
            assert ours[name] == pytest.approx(theirs[name], rel=2e-5), name


def test_fresh_draws_are_the_same_after_a_resume(world, tmp_path):
    """Four steps over two epochs; the last one, whose noise and masks are of the second epoch, again from the checkpoint before."""
    changes = {"negatives": "fresh", "steps": 4, "checkpoint": {"every": 3}}
    *_, epoch_one, whole = metrics(world, tmp_path, **changes)
    shutil.rmtree(tmp_path / "run" / "checkpoints" / "4")
    train(run_of(world, tmp_path, **changes), resume=True)
    again = json.loads((tmp_path / "run" / "metrics.jsonl").read_text().splitlines()[-1])
    names = ("loss", "loss/conditional", "tokens/uncertainty_chosen", "grad_norm")
    assert {name: again[name] for name in names} == {name: whole[name] for name in names}
    assert again["step"] == 4 and epoch_one["tokens/uncertainty_chosen"] != whole["tokens/uncertainty_chosen"]


def test_a_cache_of_another_noise_is_refused(world, tmp_path):
    cache = {"vision": {"cache": str(tmp_path / "vision")}}
    prepare(run_of(world, tmp_path, **cache))
    with pytest.raises(UserError, match=r"noised images \(noise, seed\)"):
        prepare(run_of(world, tmp_path, **cache, noise={"step": 600}))
