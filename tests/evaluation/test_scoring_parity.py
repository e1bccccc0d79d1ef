"""`score` against transformers and PEFT, on policy and reference."""

import needs_torch  # noqa: F401
import numpy as np
import pytest
import torch
from mdpo_world import make_world
from torch_reference import token_logps

from jax_mdpo.recipe.scoring import score

VIEWS = {"chosen": ("image", "chosen"), "rejected": ("image", "rejected"), "negative": ("rejected_image", "chosen")}


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    return make_world(tmp_path_factory.mktemp("world"))


def test_policy_and_reference_equal_transformers_with_peft(world, tmp_path):
    scores = score(world.folder, world.data, adapter=world.adapter, per_token=True, out=tmp_path / "scores.jsonl", batch=2)
    assert [one["id"] for one in scores] == [record["id"] for record in world.records]
    assert len((tmp_path / "scores.jsonl").read_text().splitlines()) == len(world.records)
    for ours, record in zip(scores, world.records, strict=True):
        for name, (image, response) in VIEWS.items():
            arguments = (world.reader, record[image], record["prompt"], record[response])
            with torch.no_grad():
                policy = token_logps(world.policy, *arguments).numpy()
                with world.policy.disable_adapter():
                    reference = token_logps(world.policy, *arguments).numpy()
            np.testing.assert_allclose(ours[f"{name}_token_logps"], policy, atol=1e-4)
            assert ours[f"{name}_logp"] == pytest.approx(policy.sum(), abs=1e-4)
            assert ours[f"ref_{name}_logp"] == pytest.approx(reference.sum(), abs=1e-4)
            assert ours[f"{name}_reward"] == pytest.approx(0.1 * (policy.sum() - reference.sum()), abs=1e-4)
            assert np.abs(policy - reference).max() > 0.1, "the adapter must change what it is compared on"
        question, answer = world.reader.sequence(record["prompt"], record["chosen"])
        assert ours["chosen_ids"] == answer and ours["chosen_tokens"] == len(answer)
        assert len(question) > 16


def test_without_an_adapter_only_the_model_s_own_scores_come(world):
    scores = score(world.folder, world.data)
    assert set(scores[0]) == {"id", "chosen_logp", "rejected_logp", "negative_logp", "chosen_tokens", "rejected_tokens"}
