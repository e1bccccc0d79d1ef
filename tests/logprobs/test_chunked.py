import jax
import jax.numpy as jnp
import numpy as np
import pytest
from programs import products

from jax_mdpo.logprobs.chunked import Asked, read_tokens

ROWS, LENGTH, WIDTH, VOCABULARY = 3, 11, 5, 13


@pytest.fixture
def drawn():
    rng = np.random.default_rng(0)
    hidden = rng.normal(size=(ROWS, LENGTH, WIDTH)).astype(np.float32)
    kernel = rng.normal(size=(WIDTH, VOCABULARY)).astype(np.float32)
    targets = rng.integers(0, VOCABULARY, (ROWS, LENGTH))
    return jnp.asarray(hidden), jnp.asarray(kernel), jnp.asarray(targets)


def plain(hidden, kernel, targets):
    logps = np.asarray(hidden, np.float64) @ np.asarray(kernel, np.float64)
    logps = logps - np.log(np.sum(np.exp(logps), axis=-1, keepdims=True))
    return np.take_along_axis(logps, np.asarray(targets)[..., None], axis=-1)[..., 0]


@pytest.mark.parametrize("chunk", [1, 4, 11, 100])
def test_every_chunk_size_gives_log_softmax(drawn, chunk):
    hidden, kernel, targets = drawn
    logps = read_tokens(hidden, Asked(targets), lambda h: h @ kernel, chunk=chunk).logps
    np.testing.assert_allclose(logps, plain(*drawn), atol=1e-5)


def test_gradient_is_target_minus_softmax(drawn):
    hidden, kernel, targets = drawn
    gradient = jax.grad(lambda h: jnp.sum(read_tokens(h, Asked(targets), lambda x: x @ kernel, chunk=4).logps))(hidden)
    softmax = jax.nn.softmax(hidden @ kernel, axis=-1)
    expected = (jax.nn.one_hot(targets, VOCABULARY) - softmax) @ kernel.T
    np.testing.assert_allclose(gradient, expected, atol=1e-5)


def test_large_logits_stay_finite(drawn):
    hidden, kernel, targets = drawn
    logps = read_tokens(hidden, Asked(targets), lambda h: 1e4 * (h @ kernel), chunk=4).logps
    assert np.all(np.isfinite(logps)) and np.all(np.asarray(logps) <= 0)


def test_an_adapted_head_takes_its_gradient(drawn):
    hidden, kernel, targets = drawn
    weights = jnp.arange(ROWS * LENGTH, dtype=jnp.float32).reshape(ROWS, LENGTH)

    def loss(kernel):
        return jnp.sum(weights * read_tokens(hidden, Asked(targets), lambda h: h @ kernel, chunk=4, learning=True).logps)

    slope = jax.nn.one_hot(targets, VOCABULARY) - jax.nn.softmax(hidden @ kernel, axis=-1)
    np.testing.assert_allclose(jax.grad(loss)(kernel), jnp.einsum("brd,brv->dv", hidden, weights[..., None] * slope), atol=1e-3)


def head_products(program, *arguments) -> int:
    """How often the program multiplies with the head."""
    equations = products(jax.make_jaxpr(program)(*arguments).jaxpr)
    return sum(any(variable.aval.size == WIDTH * VOCABULARY for variable in equation.invars) for equation in equations)


@pytest.mark.parametrize(("learning", "expected"), [(False, 2), (True, 3)])
def test_a_frozen_head_s_logits_are_computed_once(drawn, learning, expected):
    """Inside a scan and under jit, as in a step: the head is an argument of the program, the hidden states depend on what is learnt."""
    hidden, kernel, targets = drawn

    def loss(scale, kernel):
        def body(total, _):
            logps = read_tokens(scale * hidden, Asked(targets), lambda h: h @ kernel, chunk=4, learning=learning).logps
            return total + jnp.sum(logps), None

        return jax.lax.scan(body, 0.0, None, length=1)[0]

    gradient = jax.jit(jax.grad(loss))
    assert head_products(loss, 2.0, kernel) == 1
    assert head_products(gradient, 2.0, kernel) == expected
    slope = (jax.nn.one_hot(targets, VOCABULARY) - jax.nn.softmax(2.0 * hidden @ kernel, axis=-1)) @ kernel.T
    np.testing.assert_allclose(gradient(2.0, kernel), jnp.sum(slope * hidden), rtol=1e-5)
