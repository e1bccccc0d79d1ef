"""Names of topologies."""

import pytest

from jax_mdpo.core.errors import ConfigError
from jax_mdpo.planning.chips import larger, topology


@pytest.mark.parametrize(
    ("name", "chips", "shape"),
    [
        ("v5e-1", 1, "v5e:1x1"),
        ("v5e-16", 16, "v5e:4x4"),
        ("v6e-8", 8, "v6e:2x4"),
        ("v5p-8", 4, "v5p:2x2x1"),  # Cloud TPU counts its TensorCores, two a chip
        ("a100-40", 1, ""),
        ("h100x8", 8, ""),
    ],
)
def test_names_count_what_they_say(name, chips, shape):
    found = topology(name)
    assert (found.devices, found.shape) == (chips, shape)


@pytest.mark.parametrize("name", ["v5e-3", "v5p-3", "b900", "h100x", "cpux2", ""])
def test_an_unknown_name_lists_the_known_ones(name):
    with pytest.raises(ConfigError, match="a100-40"):
        topology(name)


def test_larger_slices_are_of_the_same_chip():
    assert [one.name for one in larger(topology("v5e-64"))] == ["v5e-128", "v5e-256"]
    assert [one.name for one in larger(topology("v5p-512"))] == ["v5p-1024"]
    assert [one.name for one in larger(topology("a100-40x2"))] == ["a100-40x4", "a100-40x8", "a100-40x16"]
    assert larger(topology("cpu")) == []
