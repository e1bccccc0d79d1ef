"""A run whose terms read the contrast answer and ask what is reworded: its batches, as they are fed and as they are planned."""

import json

import jax
import needs_torch  # noqa: F401
import pytest
from mdpo_world import make_world

from jax_mdpo.core.errors import RecordError
from jax_mdpo.core.views import CONTRAST, RESPONSES
from jax_mdpo.data.batches import Bucket
from jax_mdpo.recipe.abstract import abstract_run
from jax_mdpo.recipe.configuration import settings_of
from jax_mdpo.recipe.described import describe
from jax_mdpo.recipe.loading import mesh_of
from jax_mdpo.recipe.training import prepare

OBJECTIVES = [
    {"name": "dpo", "weights": "changed"},
    {"name": "preference", "preferred": ["negative", "contrast"], "other": ["none", "contrast"]},
]


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    return make_world(tmp_path_factory.mktemp("world"), pairs=4)


def run_of(world, folder, *, contrast: bool):
    records = [{**record, **({"contrast": "there are two red dogs ."} if contrast else {})} for record in world.records]
    data = folder / "pairs.jsonl"
    data.write_text("".join(json.dumps(record, default=str) + "\n" for record in records), encoding="utf-8")
    return settings_of(
        {
            "model": {"path": str(world.folder), "dtype": "float32"},
            "data": {"path": str(data), "images": str(world.data.parent), "pack": 2},
            "objectives": OBJECTIVES,
            "hard_negative": "rejected_image",
            "batch": {"pairs": 4},
            "steps": 1,
            "out": str(folder / "run"),
        }
    )


def test_what_is_fed_is_what_is_planned(world, tmp_path):
    settings = run_of(world, tmp_path, contrast=True)
    fed = next(iter(prepare(settings).job.batches(0))).batch
    assert set(fed.branches) == {*RESPONSES, CONTRAST} and set(fed.changed) == set(RESPONSES)
    assert fed.branches[CONTRAST].scored.any() and all(marks.any() for marks in fed.changed.values())
    lengths = Bucket(fed.prefix.ids.shape[1], fed.branches[CONTRAST].ids.shape[1])
    planned = abstract_run(settings, describe(settings.model), mesh_of(settings.mesh)).batch(lengths)
    assert jax.tree.structure(planned) == jax.tree.structure(fed)
    shapes = [[(leaf.shape, leaf.dtype) for leaf in jax.tree.leaves(batch)] for batch in (fed, planned)]
    assert shapes[0] == shapes[1]


def test_a_run_without_the_answer_that_it_reads_does_not_start(world, tmp_path):
    with pytest.raises(RecordError, match="record 'pair-0': has no contrast response, which a term of objectives reads"):
        prepare(run_of(world, tmp_path, contrast=False))
