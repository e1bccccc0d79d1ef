"""Held-out pairs judged with their own, a blank and another record's image, against transformers and PEFT on these images."""

import needs_torch  # noqa: F401
import numpy as np
import pytest
import torch
from mdpo_world import make_world
from PIL import Image
from torch_reference import token_logps

from jax_mdpo.data.dataset import PairDataset
from jax_mdpo.data.settings import DataSettings
from jax_mdpo.evaluation.margins import PROBED
from jax_mdpo.recipe.loading import load
from jax_mdpo.recipe.pairs import judge_pairs


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    return make_world(tmp_path_factory.mktemp("world"))


@pytest.fixture(scope="module")
def checkpoint(world):
    return load(world.folder)


def test_policy_and_reference_equal_transformers_with_peft_given_each_image(world, checkpoint, tmp_path):
    items = judge_pairs(checkpoint, world.data, adapter=world.adapter, batch=2)
    data = PairDataset.open(DataSettings(path=str(world.data)), checkpoint.processor)
    assert [item.question.id for item in items] == [record["id"] for record in world.records]
    for place, (item, record) in enumerate(zip(items, world.records, strict=True)):
        shown = data.pair(place, variants=PROBED).images
        black, other = tmp_path / f"{place}-black.png", tmp_path / f"{place}-other.png"
        Image.new("RGB", (80, 50)).save(black)
        shown["other"].save(other)  # as the model takes it in: transformers leaves an image of this size as it is
        assert shown["other"].tobytes() != shown["clean"].tobytes()
        for name, image in {"true": record["image"], "blank": black, "other": other}.items():
            for number, answer in enumerate(("chosen", "rejected")):
                arguments = (world.reader, image, record["prompt"], record[answer])
                with torch.no_grad():
                    policy = token_logps(world.policy, *arguments)
                    with world.policy.disable_adapter():
                        reference = token_logps(world.policy, *arguments)
                reading = item.reading[name]
                np.testing.assert_allclose(reading["logp"][number], policy.sum(), atol=1e-4)
                np.testing.assert_allclose(reading["reference"][number], reference.sum(), atol=1e-4)
                assert reading["tokens"][number] == len(policy)
        assert abs(item.reading["true"]["logp"][0] - item.reading["blank"]["logp"][0]) > 1e-3, "the image must change something"


def test_without_an_adapter_there_is_no_reference_and_a_shared_image_has_no_other(world, checkpoint, tmp_path):
    lines = world.data.read_text().splitlines()
    one = tmp_path / "one.jsonl"
    one.write_text(lines[0] + "\n")
    (item,) = judge_pairs(checkpoint, one, images=world.data.parent)
    assert set(item.reading) == {"rejected", "true"}
    assert set(item.reading["true"]) == {"logp", "tokens"}
    assert (item.answer, item.reading["rejected"]) == (world.records[0]["chosen"], world.records[0]["rejected"])
