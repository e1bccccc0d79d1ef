"""From a trained run to PEFT and transformers: both give the trained model's log-probs, and the source's files stay what they were."""

import json
from pathlib import Path

import needs_torch  # noqa: F401
import numpy as np
import pytest
import torch
import torch_peft
from mdpo_world import make_world
from tiny_llava import tiny_llava
from torch_reference import token_logps
from transformers import LlavaForConditionalGeneration

from jax_mdpo.core.errors import RunError, UserError
from jax_mdpo.lora.peft_files import read_adapter
from jax_mdpo.recipe.exporting import export
from jax_mdpo.recipe.scoring import score
from jax_mdpo.recipe.training import train

SETTINGS = {
    "objectives": [{"name": "dpo"}, {"name": "conditional"}, {"name": "anchored"}],
    "hard_negative": {"name": "rejected_image"},
    "lora": {"r": 4, "lora_alpha": 8, "rank_pattern": {"o_proj": 2}, "alpha_pattern": {"o_proj": 4}},
    "batch": {"pairs": 5, "logits_chunk": 8},
    "optimizer": {"learning_rate": 3e-2, "warmup_ratio": 0.0, "schedule": "constant"},
    "steps": 3,
    "checkpoint": {"every": 100},
}


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    return make_world(tmp_path_factory.mktemp("world"))


@pytest.fixture(scope="module")
def run(world, tmp_path_factory):
    out = tmp_path_factory.mktemp("runs") / "run"
    return train({**SETTINGS, "model": {"path": str(world.folder)}, "data": {"path": str(world.data)}, "out": str(out)})


@pytest.fixture(scope="module")
def ours(world, run):
    """The trained model's per-token log-probs of every chosen answer, by this project."""
    return [np.array(one["chosen_token_logps"]) for one in score(world.folder, world.data, adapter=run / "adapter", per_token=True)]


def theirs(world, model):
    with torch.no_grad():
        return [token_logps(model, world.reader, record["image"], record["prompt"], record["chosen"]).numpy() for record in world.records]


def assert_same(ours, theirs):
    for mine, other in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(mine, other, atol=1e-4)


def test_the_adapter_gives_peft_the_trained_model(world, run, ours, tmp_path):
    folder = export(run, format="peft", out=tmp_path / "adapter")
    base = tiny_llava(scale=0.15)
    adapted = torch_peft.load(base, folder)
    trained = read_adapter(folder, list(torch_peft.targets(adapted)))
    assert set(torch_peft.targets(adapted)) == set(trained.targets) and len(trained.targets) == 14
    assert all("vision_tower" not in name for name in trained.targets)
    assert {target.rank for target in trained.targets.values()} == {2, 4}
    assert all(np.abs(b).max() > 1e-3 for _, b in trained.factors.values())
    assert_same(ours, theirs(world, adapted))
    assert max(np.abs(a - b).max() for a, b in zip(ours, theirs(world, base), strict=True)) > 0.1, "training must have changed the model"


def test_the_merged_checkpoint_gives_transformers_the_trained_model(world, run, ours, tmp_path):
    folder = export(run, format="hf", out=tmp_path / "merged")
    merged, report = LlavaForConditionalGeneration.from_pretrained(folder, output_loading_info=True)
    assert not any(report[kind] for kind in ("missing_keys", "unexpected_keys", "mismatched_keys"))
    assert_same(ours, theirs(world, merged.eval()))
    assert_same(ours, [np.array(one["chosen_token_logps"]) for one in score(folder, world.data, per_token=True)])
    assert names(folder) == names(world.folder)
    for name in names(folder) - {"model.safetensors"}:
        assert (folder / name).read_bytes() == (world.folder / name).read_bytes(), name


def names(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


def test_nothing_is_overwritten(run, tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "notes.txt").write_text("keep")
    with pytest.raises(UserError, match="not empty"):
        export(run, format="hf", out=tmp_path / "mine")
    with pytest.raises(UserError, match="not empty"):
        export(run, format="peft", out=tmp_path / "mine")
    assert (tmp_path / "mine" / "notes.txt").read_text() == "keep"


def test_a_run_that_has_not_ended_is_refused(tmp_path):
    with pytest.raises(RunError, match="no trained adapter"):
        export(tmp_path, format="peft", out=tmp_path / "out")


def test_a_run_may_start_from_an_adapter_and_compare_with_another(world, run, tmp_path):
    """At a learning rate of nothing to speak of, policy and reference are what their folders hold."""
    again = train(
        {
            **{key: value for key, value in SETTINGS.items() if key != "lora"},
            "model": {"path": str(world.folder)},
            "data": {"path": str(world.data)},
            "init_adapter": str(run / "adapter"),
            "reference_adapter": str(world.adapter),
            "optimizer": {"learning_rate": 1e-12, "warmup_ratio": 0.0, "weight_decay": 0.0},
            "steps": 1,
            "out": str(tmp_path / "again"),
        }
    )
    (line,) = (again / "metrics.jsonl").read_text().splitlines()
    policy = score(world.folder, world.data, adapter=run / "adapter")
    reference = score(world.folder, world.data, adapter=world.adapter)
    expected = np.mean([0.1 * (p["chosen_logp"] - r["chosen_logp"]) for p, r in zip(policy, reference, strict=True)])
    assert json.loads(line)["rewards/chosen"] == pytest.approx(expected, abs=1e-4)
    before, after = (read_adapter(folder / "adapter", list(read_names(run))) for folder in (run, again))
    assert before.targets == after.targets


def read_names(run: Path) -> list[str]:
    return json.loads((run / "adapter" / "adapter_config.json").read_text())["target_modules"]
