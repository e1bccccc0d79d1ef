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


def distributions(hidden, kernel):
    logits = np.asarray(hidden, np.float64) @ np.asarray(kernel, np.float64)
    return logits, logits - np.log(np.sum(np.exp(logits), axis=-1, keepdims=True))


@pytest.mark.parametrize("learning", [False, True])
def test_what_else_is_read(drawn, learning):
    """Raw logits of targets and candidates, the likeliest token, and the divergence from another head's distribution."""
    hidden, kernel, targets = drawn
    rng = np.random.default_rng(1)
    candidates = jnp.asarray(rng.integers(0, VOCABULARY, (ROWS, LENGTH, 2)))
    against, other = (jnp.asarray(rng.normal(size=array.shape), jnp.float32) for array in (hidden, kernel))
    found = read_tokens(
        hidden,
        Asked(targets, candidates, against),
        lambda h: h @ kernel,
        chunk=4,
        learning=learning,
        likeliest=True,
        reference=lambda h: h @ other,
    )
    logits, logps = distributions(hidden, kernel)
    _, theirs = distributions(against, other)
    np.testing.assert_allclose(found.logps, plain(*drawn), atol=1e-5)
    np.testing.assert_allclose(found.logits, np.take_along_axis(logits, np.asarray(targets)[..., None], -1)[..., 0], atol=1e-5)
    np.testing.assert_allclose(found.candidates, np.take_along_axis(logits, np.asarray(candidates), -1), atol=1e-5)
    np.testing.assert_array_equal(found.likeliest, logits.argmax(-1))
    np.testing.assert_allclose(found.divergence, np.sum(np.exp(theirs) * (theirs - logps), -1), atol=1e-5)


@pytest.mark.parametrize("learning", [False, True])
@pytest.mark.parametrize("steep", [False, True])
def test_gradients_of_what_else_is_read(drawn, learning, steep):
    """Through log-probs, the divergence and, where asked, the targets' logits; not through candidates, and not to the other model."""
    hidden, kernel, targets = drawn
    rng = np.random.default_rng(2)
    against, other = (jnp.asarray(rng.normal(size=array.shape), jnp.float32) for array in (hidden, kernel))

    def value(hidden, against):
        asked = Asked(targets, targets[..., None], against)
        found = read_tokens(
            hidden, asked, lambda h: h @ kernel, chunk=4, learning=learning, steep_logits=steep, reference=lambda h: h @ other
        )
        return jnp.sum(2 * found.logps + 3 * found.divergence + 5 * found.logits + 7 * found.candidates[..., 0])

    gradient, to_other = jax.grad(value, argnums=(0, 1))(hidden, against)
    softmax, theirs = jax.nn.softmax(hidden @ kernel, axis=-1), jax.nn.softmax(against @ other, axis=-1)
    target = jax.nn.one_hot(targets, VOCABULARY)
    expected = (2 * (target - softmax) + 3 * (softmax - theirs) + (5 * target if steep else 0)) @ kernel.T
    np.testing.assert_allclose(gradient, expected, atol=2e-5)
    assert not np.any(to_other)
