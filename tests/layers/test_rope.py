"""Rotary frequencies against transformers' own."""

import jax.numpy as jnp
import needs_torch  # noqa: F401
import numpy as np
import pytest
import torch

from jax_mdpo.core.errors import WeightsError
from jax_mdpo.layers.rope import frequencies, rotate, turns

SCALINGS = [
    {"rope_type": "default", "rope_theta": 10000.0},
    {"rope_type": "linear", "rope_theta": 10000.0, "factor": 4.0},
    {
        "rope_type": "llama3",
        "rope_theta": 500000.0,
        "factor": 8.0,
        "low_freq_factor": 1.0,
        "high_freq_factor": 4.0,
        "original_max_position_embeddings": 64,
    },
]


@pytest.mark.parametrize("parameters", SCALINGS, ids=lambda p: p["rope_type"])
def test_turns_equal_transformers(parameters):
    from transformers import LlamaConfig
    from transformers.models.llama.modeling_llama import LlamaRotaryEmbedding, apply_rotary_pos_emb

    config = LlamaConfig(hidden_size=32, num_attention_heads=2, rope_parameters=parameters, max_position_embeddings=512)
    positions = np.array([[0, 1, 5, 300]])
    x = np.random.default_rng(0).normal(size=(1, 4, 2, 16)).astype(np.float32)
    cos, sin = LlamaRotaryEmbedding(config)(torch.tensor(x), torch.tensor(positions))
    expected, _ = apply_rotary_pos_emb(torch.tensor(x).transpose(1, 2), torch.tensor(x).transpose(1, 2), cos, sin)
    got = rotate(jnp.asarray(x), turns(jnp.asarray(positions), frequencies(16, parameters), jnp.float32))
    np.testing.assert_allclose(got, expected.transpose(1, 2).numpy(), atol=2e-5)


def test_an_unknown_scaling_is_refused_by_name():
    with pytest.raises(WeightsError, match="longrope"):
        frequencies(16, {"rope_type": "longrope", "rope_theta": 10000.0})
