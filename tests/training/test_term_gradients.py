"""The gradient of each term: together the step's own, alone what a step of that term alone has; and when the loop asks for them."""

import json

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from end_to_end import world
from training import toy

from jax_mdpo.data.dataset import PairDataset
from jax_mdpo.data.hard_negatives import Crop
from jax_mdpo.data.settings import DataSettings
from jax_mdpo.data.variants import Variants
from jax_mdpo.lora.settings import LoRASettings
from jax_mdpo.models.actors import make_actors
from jax_mdpo.objectives.anchored import Anchored
from jax_mdpo.objectives.conditional import Conditional
from jax_mdpo.objectives.dpo import DPO
from jax_mdpo.recipe.adapters import fresh_adapter
from jax_mdpo.recipe.loading import load
from jax_mdpo.training.settings import CheckpointSettings, LogSettings, LoopSettings
from jax_mdpo.training.state import TrainState, initial_state
from jax_mdpo.training.step import Loss, make_step
from jax_mdpo.training.term_gradients import make_term_norms, term_gradients

TERMS = (DPO(), Conditional(weight=0.5), Anchored(delta=0.3, weight=2.0))
KEEPING = optax.GradientTransformation(  # an optimiser whose state is the last gradient
    init=lambda factors: jax.tree.map(jnp.zeros_like, factors), update=lambda gradient, state, factors=None: (gradient, gradient)
)


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    return load(world.write_checkpoint(tmp_path_factory.mktemp("world") / "checkpoint"))


@pytest.fixture(scope="module")
def started(checkpoint, tmp_path_factory):
    """(actors, frozen, state, batch): an adapter that has left its start, five pairs and one that is padding."""
    actors, frozen, lora = make_actors(checkpoint, fresh_adapter(LoRASettings(r=2, lora_alpha=4, lora_dropout=0.5), checkpoint, seed=1))
    state = initial_state(jax.tree.map(lambda leaf: leaf + 0.02, lora), KEEPING, seed=0)
    data = PairDataset.open(DataSettings(path=str(world.write_pairs(tmp_path_factory.mktemp("pairs") / "data", 5))), checkpoint.processor)
    (host,) = data.batches(data.ordered_batches(batch_size=6), variants=Variants(("clean", "negative"), {"negative": Crop()}))
    return actors, frozen, state, jax.tree.map(jnp.asarray, host.batch)


def stepped(checkpoint, started, terms, **way) -> tuple[TrainState, dict]:
    actors, frozen, state, batch = started
    step = make_step(Loss(actors, terms, chunk=8), KEEPING, optax.constant_schedule(1.0), **way)
    with checkpoint.scope():
        return step(frozen, jax.tree.map(jnp.copy, state), batch)


def test_they_add_up_to_the_step_s_gradient(checkpoint, started):
    """Parts with unequal numbers of pairs, the step's own dropout masks, and the terms' weights."""
    actors, frozen, state, batch = started
    way = {"accumulation": 3, "dropout": True}
    with checkpoint.scope():
        gradients = jax.jit(lambda *arrays: term_gradients(Loss(actors, TERMS, chunk=8), *arrays, **way))(frozen, state, batch)
    stepped_on, metrics = stepped(checkpoint, started, TERMS, **way)
    whole = float(metrics["grad_norm"])
    for of_terms, of_step in zip(jax.tree.leaves(gradients), jax.tree.leaves(stepped_on.opt_state), strict=True):
        assert of_terms.shape == (len(TERMS), *of_step.shape)
        np.testing.assert_allclose(np.sum(of_terms, axis=0), of_step, rtol=0, atol=1e-5 * whole)


def test_a_term_s_norm_is_that_of_a_step_of_it_alone(checkpoint, started):
    """Over the whole batch, however it is split; and the state stays as it was."""
    actors, frozen, state, batch = started
    before = [np.array(leaf) for leaf in jax.tree.leaves(state)]
    with checkpoint.scope():
        norms = make_term_norms(Loss(actors, TERMS, chunk=8), accumulation=3, dropout=False)(frozen, state, batch)
    assert set(norms) == {f"grad_norm/{term.label}" for term in TERMS}
    _, alone = stepped(checkpoint, started, (TERMS[1],), accumulation=1, dropout=False)
    assert float(norms["grad_norm/conditional"]) == pytest.approx(float(alone["grad_norm"]), rel=1e-4)
    assert len({f"{float(norm):.2g}" for norm in norms.values()}) == len(TERMS) and min(norms.values()) > 1e-3
    for now, then in zip(jax.tree.leaves(state), before, strict=True):
        assert np.array_equal(now, then)


def test_the_loop_asks_for_them_every_so_many_steps_and_trains_alike(toy_trainer, tmp_path, capsys):
    seen = []

    @jax.jit
    def norms(state, batch):
        return {"grad_norm/toy": optax.tree.norm(state.lora) + jnp.sum(batch.valid)}

    def counting(state, batch):
        seen.append(int(state.step))
        return norms(state, batch)

    found = {}
    for name, every in (("with", 3), ("without", None)):
        settings = LoopSettings(checkpoint=CheckpointSettings(every=100), logging=LogSettings(console_every=1000, term_gradients=every))
        last = toy_trainer.train(tmp_path / name, steps=7, settings=settings, term_norms=counting)
        lines = [json.loads(line) for line in (tmp_path / name / "metrics.jsonl").read_text().splitlines()]
        found[name] = (lines, jax.tree.map(np.array, last))
    (lines, last), (plain, same) = found["with"], found["without"]
    assert seen == [2, 5], "the states before steps 3 and 6"
    assert [line["step"] for line in lines if "grad_norm/toy" in line] == [3, 6]
    assert not any("grad_norm/toy" in line for line in plain)
    assert [line["loss"] for line in lines] == [line["loss"] for line in plain]
    jax.tree.map(np.testing.assert_array_equal, last, same)
    programs = [line["programs"] for line in lines]
    assert programs[2] - programs[1] == 1 and programs[3:] == [programs[2]] * 4
    assert "new programs" not in capsys.readouterr().err


def test_a_program_that_their_norms_make_late_is_warned_of(toy_trainer, tmp_path, capsys):
    def norms(state, batch):
        return {"grad_norm/toy": jax.jit(lambda x: x + toy.PAIRS)(jnp.ones(()))}  # made anew each time

    settings = LoopSettings(checkpoint=CheckpointSettings(every=100), logging=LogSettings(console_every=1000, term_gradients=2))
    toy_trainer.train(tmp_path, steps=7, settings=settings, term_norms=norms)
    assert "warning: the terms' gradients of step 4" in capsys.readouterr().err
