"""Adapters over one input, side by side, against each by itself."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from jax_mdpo.layers.linear import Linear, side_by_side
from jax_mdpo.lora.adapter import Adapter

INPUTS, OUTPUTS, RANKS, SCALES = 24, (32, 16, 20), (4, 2, 3), (0.5, 2.0, 1.0)


def adapter(i: int, dropout: float = 0.0) -> Adapter:
    a, b = (jax.random.normal(key, shape) for key, shape in zip(jax.random.split(jax.random.key(i)), shapes(i), strict=True))
    keys = jax.random.key_data(jax.random.key(10 + i)) if dropout else None
    return Adapter(a, b, jnp.float32(SCALES[i]), axes=("embed", "heads"), dropout=dropout, keys=keys)


def shapes(i: int) -> tuple[tuple[int, int], tuple[int, int]]:
    return (INPUTS, RANKS[i]), (RANKS[i], OUTPUTS[i])


@pytest.fixture
def layers():
    return [Linear(INPUTS, outputs, axes=("embed", "heads"), rngs=nnx.Rngs(i)) for i, outputs in enumerate(OUTPUTS)]


@pytest.fixture
def x():
    return jax.random.normal(jax.random.key(7), (2, 5, INPUTS))


@pytest.mark.parametrize("adapted", [(), (1,), (0, 2), (0, 1, 2)])
def test_side_by_side_is_each_by_itself(layers, x, adapted):
    for i in adapted:
        layers[i].adapter = nnx.data(adapter(i))
    for i, found in enumerate(side_by_side(x, *layers)):
        expected = np.asarray(x, np.float64) @ np.asarray(layers[i].kernel[...], np.float64)
        if i in adapted:
            a, b = (np.asarray(factor[...], np.float64) for factor in (layers[i].adapter.a, layers[i].adapter.b))
            expected = expected + SCALES[i] * (x @ a @ b)
        np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5)


def test_x_is_multiplied_once_with_all_first_factors(layers, x):
    for i in range(3):
        layers[i].adapter = nnx.data(adapter(i))
    graph, state = nnx.split(layers)
    text = str(jax.make_jaxpr(lambda state, x: side_by_side(x, *nnx.merge(graph, state)))(state, x))
    assert text.count("dot_general") == 3 + 1 + 3  # kernels, first factors, second factors


def test_adapters_that_drop_each_drop_their_own(x):
    pair = [adapter(0, dropout=0.5), adapter(1, dropout=0.5)]
    together = pair[0].beside(pair[1:], x)
    for one, found in zip(pair, together, strict=True):
        np.testing.assert_array_equal(found, one(x))
        whole = SCALES[pair.index(one)] * (x @ one.a[...] @ one.b[...])
        assert not np.allclose(found, whole)
