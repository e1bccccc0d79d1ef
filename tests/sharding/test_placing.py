import jax
import numpy as np
import pytest

from jax_mdpo.core.errors import ConfigError
from jax_mdpo.sharding.logical import complete, make_mesh, spec, stacked
from jax_mdpo.sharding.placing import local_rows, placing, require_divisible


def test_one_axis_takes_what_the_others_leave():
    assert complete({"data": 2, "fsdp": -1, "tensor": 2}, 8) == {"data": 2, "fsdp": 2, "tensor": 2}


@pytest.mark.parametrize("sizes", [{"data": 3, "fsdp": -1, "tensor": 1}, {"data": 4, "fsdp": 1, "tensor": 1}, {"data": -1, "fsdp": -1}])
def test_sizes_that_do_not_cover_the_devices_are_refused(sizes):
    with pytest.raises(ValueError, match="8 devices"):
        complete(sizes, 8)


def test_logical_axes_map_by_the_table_and_unknown_ones_fail():
    assert tuple(spec(("embed", "mlp", None))) == ("fsdp", "tensor", None)
    assert stacked(("embed", "mlp"), 3) == ("layers", "embed", "mlp")
    with pytest.raises(KeyError):
        spec(("embde",))


def test_rows_arrive_in_order_on_one_device():
    mesh = make_mesh(devices=jax.devices()[:1])
    assert local_rows(mesh, 4) == (0, 1, 2, 3)
    placed = placing(mesh, 4)({"x": np.arange(8).reshape(4, 2)})
    np.testing.assert_array_equal(placed["x"], np.arange(8).reshape(4, 2))


def test_a_batch_that_does_not_split_evenly_is_refused_with_the_next_size():
    require_divisible(8, 16, "batch.pairs")
    with pytest.raises(ConfigError, match="use 16"):
        require_divisible(8, 10, "batch.pairs")
