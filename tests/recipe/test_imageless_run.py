"""A run whose views all hide the image: it trains, and nothing of it depends on the pictures."""

import jax
import numpy as np
import pytest
from end_to_end import world

from jax_mdpo.recipe.configuration import settings_of
from jax_mdpo.recipe.training import prepare


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return world.write_checkpoint(tmp_path_factory.mktemp("model") / "checkpoint")


def stepped(model, pairs, out):
    settings = settings_of(
        {
            "model": {"path": str(model)},
            "data": {"path": str(pairs), "length_multiple": 8, "workers": 0},
            "objectives": [{"name": "preference", "preferred": ["none", "chosen"], "other": ["none", "rejected"]}],
            "lora": {"r": 2, "lora_alpha": 8},
            "batch": {"pairs": 4, "logits_chunk": 8},
            "optimizer": {"learning_rate": 1e-2, "warmup_ratio": 0.0},
            "steps": 2,
            "out": str(out),
        }
    )
    ready = prepare(settings)
    state = ready.state
    for host in ready.job.batches(0):
        state, metrics = ready.job.step(state, ready.job.put(host.batch))
    return jax.device_get((state.lora, metrics))


def test_pictures_change_nothing(model, tmp_path):
    pairs = [world.write_pairs(tmp_path / name, 4, side=side) for name, side in (("some", 60), ("others", 31))]
    assert (tmp_path / "some" / "0.jpg").read_bytes() != (tmp_path / "others" / "0.jpg").read_bytes()
    (first, metrics), (second, again) = (stepped(model, file, tmp_path / "run") for file in pairs)
    assert metrics["loss"] == again["loss"] and metrics["loss"] < np.log(2)
    jax.tree.map(np.testing.assert_array_equal, first, second)
