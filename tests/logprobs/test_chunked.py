import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jax_mdpo.logprobs.chunked import token_logps

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
    logps = token_logps(hidden, targets, lambda h: h @ kernel, chunk=chunk)
    np.testing.assert_allclose(logps, plain(*drawn), atol=1e-5)


def test_gradient_is_target_minus_softmax(drawn):
    hidden, kernel, targets = drawn
    gradient = jax.grad(lambda h: jnp.sum(token_logps(h, targets, lambda x: x @ kernel, chunk=4)))(hidden)
    softmax = jax.nn.softmax(hidden @ kernel, axis=-1)
    expected = (jax.nn.one_hot(targets, VOCABULARY) - softmax) @ kernel.T
    np.testing.assert_allclose(gradient, expected, atol=1e-5)


def test_large_logits_stay_finite(drawn):
    hidden, kernel, targets = drawn
    logps = token_logps(hidden, targets, lambda h: 1e4 * (h @ kernel), chunk=4)
    assert np.all(np.isfinite(logps)) and np.all(np.asarray(logps) <= 0)
