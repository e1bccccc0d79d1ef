"""Settings that contradict each other, or change nothing, are refused."""

import pytest

from jax_mdpo.core.config import validate
from jax_mdpo.core.errors import ConfigError
from jax_mdpo.generation.settings import Decoding


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"temperature": 0}, "temperature must be above 0"),
        ({"temperature": 1.0, "beams": 2}, "give one of them"),
        ({"top_p": 0.9}, "top_p changes nothing"),
        ({"top_k": 9}, "top_k changes nothing"),
        ({"seed": 0}, "seed changes nothing"),
        ({"temperature": 1.0, "top_p": 1.5}, "top_p must be above 0 and at most 1"),
        ({"temperature": 1.0, "top_k": 0}, "top_k must be at least 1"),
        ({"length_penalty": 2.0}, "length_penalty changes nothing"),
        ({"early_stopping": False}, "early_stopping changes nothing"),
        ({"max_tokens": 0}, "max_tokens must be at least 1"),
        ({"max_token": 9}, "did you mean 'max_tokens'"),
    ],
)
def test_contradictions(values, said):
    with pytest.raises(ConfigError, match=said):
        validate(Decoding, values, where="test")


@pytest.mark.parametrize("values", [{}, {"temperature": 0.7, "top_p": 0.9, "seed": 3}, {"beams": 3, "early_stopping": "never"}])
def test_what_goes_together(values):
    assert validate(Decoding, values, where="test") == Decoding(**values)
