"""One short run with everything on: the files and fields that other tools rely on, bad records left out and listed."""

import json

import needs_torch  # noqa: F401
import pytest
from mdpo_world import make_world

from jax_mdpo.recipe.training import train

FIELDS = {
    *("step", "loss", "loss/dpo", "loss/conditional", "loss/anchor", "rewards/chosen", "rewards/rejected", "rewards/negative"),
    *("rewards/accuracy", "rewards/conditional_accuracy", "rewards/margin", "logps/chosen", "logps/rejected", "logps/negative"),
    *("grad_norm", "learning_rate", "pairs_per_second", "tokens_per_second", "step_seconds"),
}
BAD = [
    {"id": "missing", "image": "nowhere.jpg"},
    {"id": "outside", "image": "../checkpoint/config.json"},
    {"id": "truncated", "image": "cut.jpg"},
    {"id": "equal", "image": "0.jpg", "rejected": "a red cat ."},
    {"id": "doubled", "image": "0.jpg", "prompt": "USER: <image> <image> what ASSISTANT:"},
]


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    world = make_world(tmp_path_factory.mktemp("world"))
    images = world.data.parent
    (images / "cut.jpg").write_bytes((images / "0.jpg").read_bytes()[:300])
    usual = {"prompt": world.records[0]["prompt"], "chosen": "a red cat .", "rejected": "two dogs"}
    with world.data.open("a", encoding="utf-8") as file:
        file.writelines(json.dumps({**usual, **record}) + "\n" for record in BAD)
    return train(
        {
            "model": {"path": str(world.folder)},
            "objectives": [{"name": "dpo"}, {"name": "conditional"}, {"name": "anchored"}],
            "hard_negative": {"name": "crop"},
            "data": {"path": str(world.data), "on_bad_record": "skip"},
            "eval_data": {"path": str(world.data), "on_bad_record": "skip"},
            "evaluation": {"every": 2},
            "checkpoint": {"every": 2, "best": {"metric": "eval/loss", "mode": "min"}},
            "batch": {"pairs": 3, "logits_chunk": 8},
            "epochs": 2,
            "out": str(tmp_path_factory.mktemp("runs") / "run"),
        }
    )


def lines(path):
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def test_each_step_has_every_field(run):
    steps = lines(run / "metrics.jsonl")
    assert [one["step"] for one in steps] == [1, 2, 3, 4]  # five good records and one decoded to be bad, three a step, two epochs
    assert all(set(one) >= FIELDS for one in steps)
    assert [any(name.startswith("eval/") for name in one) for one in steps] == [False, True, False, True]
    assert steps[1]["eval/loss"] > 0 and "eval/rewards/accuracy" in steps[1]


def test_bad_records_are_listed_once_for_each_data_set_with_their_reasons(run):
    listed = lines(run / "skipped.jsonl")
    for data in ("data", "eval_data"):
        assert sorted(one["id"] for one in listed if one["data"] == data) == sorted(record["id"] for record in BAD)
    assert len(listed) == 2 * len(BAD)
    assert all("to fix" in one["reason"] and one["id"] in one["reason"] for one in listed)


def test_the_run_directory_holds_what_it_should(run):
    assert {path.name for path in run.iterdir()} >= {"config.yaml", "metrics.jsonl", "skipped.jsonl", "events", "checkpoints", "adapter"}
    assert {path.name for path in (run / "adapter").iterdir()} >= {"adapter_config.json", "adapter_model.safetensors"}
    assert list((run / "events").iterdir())
