"""A token read against the cache gives the hidden state that it has in a row read whole, with padding and holes in the prompt."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from jax_mdpo.layers.execution import Execution
from jax_mdpo.layers.rope import frequencies
from jax_mdpo.layers.rows import Rows
from jax_mdpo.models.parts.llama import LlamaConfig, LlamaDecoder

PROMPTS = np.array([[1, 1, 1, 1, 1, 1], [0, 0, 1, 1, 1, 1], [1, 0, 0, 1, 1, 0]])  # whole, padded on the left, with holes and on the right
TOKENS = np.array([[3, 1, 4], [1, 5, 9], [2, 6, 5]])


@pytest.mark.parametrize("scan", [True, False])
def test_token_by_token_is_the_whole_row(scan):
    config = LlamaConfig(32, 48, 3, 4, 2, 8, 11, frequencies(8, {"rope_theta": 10000.0}))
    decoder = LlamaDecoder(config, rngs=nnx.Rngs(0), execution=Execution(scan=scan))
    for path, leaf in nnx.to_flat_state(nnx.state(decoder)):
        leaf[...] = leaf[...] * (10 if path[-1] == "kernel" else 1)  # large enough for attention to choose

    @jax.jit
    def both(x):
        row = Rows(jnp.concatenate([PROMPTS, np.ones_like(TOKENS)], axis=1))
        whole = decoder(jnp.concatenate([x, decoder.embed_tokens(jnp.asarray(TOKENS))], axis=1), row)
        read, cache = decoder.prefill(x, Rows(jnp.asarray(PROMPTS)), room=4)
        states = [read]
        for place in range(3):
            hidden, cache = decoder.extend(jnp.asarray(TOKENS[:, place]), cache)
            states.append(hidden)
        return whole, jnp.concatenate(states, axis=1), cache

    whole, stepwise, cache = both(np.random.default_rng(0).normal(size=(3, 6, 32)).astype(np.float32))
    held = np.concatenate([PROMPTS == 1, np.ones_like(TOKENS, bool)], axis=1)
    np.testing.assert_allclose(stepwise[held], whole[held], atol=1e-5)
    assert int(cache.end) == 9 and cache.keys.shape == (3, 3, 10, 2, 8)
    np.testing.assert_array_equal(cache.positions[:, 0], held.sum(axis=1))
