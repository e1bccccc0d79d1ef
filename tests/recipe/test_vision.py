"""Cached vision features: those of the tower, bit for bit, and a loss that needs neither images nor tower."""

import jax
import jax.numpy as jnp
import needs_torch  # noqa: F401
import numpy as np
import pytest
from mdpo_world import make_world

from jax_mdpo.core.errors import ConfigError, UserError
from jax_mdpo.data.dataset import PairDataset
from jax_mdpo.models.actors import make_actors
from jax_mdpo.models.families.llava.model import Llava
from jax_mdpo.recipe.adapters import stored_adapter
from jax_mdpo.recipe.configuration import settings_of
from jax_mdpo.recipe.loading import load
from jax_mdpo.recipe.parts import variants_of
from jax_mdpo.recipe.training import train
from jax_mdpo.recipe.vision import Vision
from jax_mdpo.training.step import Loss

BOTH = ("clean", "negative")


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    return make_world(tmp_path_factory.mktemp("world"))


@pytest.fixture(scope="module")
def checkpoint(world):
    return load(world.folder)


def settings(world, out, **changes):
    values = {
        "model": {"path": str(world.folder)},
        "data": {"path": str(world.data)},
        "objectives": [{"name": "conditional"}],
        "hard_negative": {"name": "crop"},
        "negatives": "fixed",
        "vision": {"cache": str(out / "features")},
        "batch": {"pairs": 2, "logits_chunk": 8},
        "steps": 1,
        "out": str(out / "run"),
    }
    return settings_of({**values, **changes})


@pytest.fixture(scope="module")
def cached(world, checkpoint, tmp_path_factory):
    """The run, its actors and data, and a batch of all five pairs and one that is padding: from images and from features."""
    run = settings(world, tmp_path_factory.mktemp("cached"))
    actors = make_actors(checkpoint, stored_adapter(world.adapter, checkpoint))
    data = PairDataset.open(run.data, checkpoint.processor)
    plans = data.ordered_batches(batch_size=6)
    kept = Vision(run, checkpoint, *actors).cached("data", data)
    made = [next(data.batches(plans, variants=variants_of(run, BOTH), features=features)) for features in (None, kept)]
    return run, actors, data, *(host.batch for host in made)


def test_the_features_are_the_tower_s_bit_for_bit(checkpoint, cached):
    """In batches of two records' images, as they were computed: their number decides how sums are rounded."""
    *_, images, features = cached
    assert not features.images
    for first in (0, 2):
        framed, kept = (
            np.concatenate([part[variant][place] for place in (first, first + 1) for variant in BOTH])
            for part in (images.images, features.features)
        )
        with checkpoint.scope():
            model = checkpoint.model()
            seen = np.asarray(jax.jit(lambda framed, model=model: model.look(model.normalise(framed)))(framed))
        assert kept.dtype == seen.dtype == np.float32 and kept.tobytes() == seen.tobytes()
    assert np.abs(features.features["clean"] - features.features["negative"]).max() > 0.1


def test_loss_and_gradient_are_those_of_the_images_without_the_tower(checkpoint, cached, monkeypatch):
    run, (actors, frozen, lora), _, images, features = cached
    look, looks, found = Llava.look, [], []
    monkeypatch.setattr(Llava, "look", lambda *arguments: (looks.append(1), look(*arguments))[1])
    for batch in (images, features):
        looks.append(0)
        with checkpoint.scope():
            loss = Loss(actors, run.objectives, chunk=8)
            found.append(jax.jit(jax.value_and_grad(loss, has_aux=True))(lora, frozen, jax.tree.map(jnp.asarray, batch), jnp.float32(5)))
    assert looks == [0, 1, 0], "passes of the tower in the traced programs"
    ((value, _), gradient), ((same, _), close) = found
    assert float(same) == pytest.approx(float(value), rel=1e-5)
    for ours, theirs in zip(jax.tree.leaves(close), jax.tree.leaves(gradient), strict=True):
        assert np.linalg.norm(ours - theirs) <= 1e-5 * np.linalg.norm(theirs)


def test_kept_features_are_not_computed_again_and_others_are_refused(world, checkpoint, cached, tmp_path, monkeypatch):
    run, actors, data, *_ = cached
    monkeypatch.setattr(Vision, "_evaluated", None)
    assert Vision(run, checkpoint, *actors).cached("data", data) is not None
    other = settings(world, tmp_path, seed=1, vision={"cache": run.vision.cache})
    with pytest.raises(UserError, match=r"hard negatives \(hard_negative, seed\): the cache has .*seed 0, this run has .*seed 1"):
        Vision(other, checkpoint, *actors).cached("data", data)


def test_a_tower_that_learns_and_negatives_that_change_are_refused(world, tmp_path):
    learning = {"r": 2, "target_modules": "all-linear"}
    with pytest.raises(ConfigError, match="an adapter touches the tower"):
        train(settings(world, tmp_path, lora=learning))
    with pytest.raises(ConfigError, match=r"vision\.cache holds one negative"):
        settings(world, tmp_path, negatives="fresh")
