"""What the TPU compiler says where a program does not fit. The messages' forms are its own; libtpu 0.0.42 and later give the first."""

import pytest

from jax_mdpo.planning.compiled import refused_size


@pytest.mark.parametrize(
    ("message", "gib"),
    [
        ("the total memory required for HLO temporaries (40.26G) exceeds available HBM (15.75G).", 40.26),
        ("the total memory required for HLO temporaries (1.50T) exceeds available HBM (95.74G).", 1536),
        ("Ran out of memory in memory space hbm. Used 16.51G of 15.75G hbm. Exceeded hbm capacity by 783.19M.", 16.51),
        ("INTERNAL: something else went wrong (15.75G)", None),
    ],
)
def test_the_size_that_is_refused_is_read(message, gib):
    assert refused_size(message) == (None if gib is None else pytest.approx(gib * 2**30))
