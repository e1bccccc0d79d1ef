"""What the platform's compiler is told reaches it."""

import jax
import jax.numpy as jnp
import pytest
from flax import nnx

from jax_mdpo.models.actors import Actors
from jax_mdpo.sharding.compiling import COMPILER_OPTIONS


def actors(platform):
    graph = nnx.graphdef(nnx.Linear(1, 1, rngs=nnx.Rngs(0)))
    return Actors(graph, graph, graph, True, jax.tree.structure({}), platform)


def test_on_a_cpu_it_is_told_nothing():
    assert actors("cpu").compiled(lambda x: x + 1)(jnp.ones(())) == 2


def test_a_tpu_s_options_are_given_to_the_compiler():
    """A CPU's does not know them, and says so."""
    with pytest.raises(jax.errors.JaxRuntimeError, match="|".join(COMPILER_OPTIONS["tpu"])):
        actors("tpu").compiled(lambda x: x + 1)(jnp.ones(()))
