"""Compiles small programs for four CPU devices and writes their text: run in a process of its own, which alone has four."""

import os
import sys
from functools import partial
from pathlib import Path

os.environ["XLA_FLAGS"] = "--xla_force_host_platform_device_count=4"

import jax
import jax.numpy as jnp
from jax.sharding import AxisType, NamedSharding, PartitionSpec

mesh = jax.make_mesh((2, 2), ("rows", "columns"), axis_types=(AxisType.Auto,) * 2)


def given(shape, *parts):
    return jax.ShapeDtypeStruct(shape, jnp.float32, sharding=NamedSharding(mesh, PartitionSpec(*parts)))


def gathered_in_nested_loops():
    """Three times five products with a matrix whose rows lie on two devices and are brought together first."""

    def inner(x, w):
        return jnp.tanh(x @ jax.lax.with_sharding_constraint(w, NamedSharding(mesh, PartitionSpec(None, None)))), None

    def outer(x, ws):
        return jax.lax.scan(inner, x, ws)[0], None

    return jax.jit(lambda ws, x: jax.lax.scan(outer, x, ws)[0]).lower(
        given((3, 5, 64, 64), None, None, "rows", None), given((8, 64), "rows")
    )


def explicit():
    """One transfer of each kind; the shape of what a device holds is [8, 64]."""

    @partial(jax.shard_map, mesh=mesh, in_specs=PartitionSpec("rows", "columns"), out_specs=PartitionSpec("rows", "columns"))
    def all_kinds(x):
        x = x + jax.lax.all_gather(jnp.sin(x), "columns").sum(0)
        x = x + jax.lax.psum(jnp.cos(x), ("rows", "columns"))
        x = x + jnp.tile(jax.lax.psum_scatter(jnp.tan(x), "columns", tiled=True), (2, 1))
        x = x + jax.lax.all_to_all(jnp.exp(x), "rows", 0, 0, tiled=True)
        return x + jax.lax.ppermute(jnp.tanh(x), "columns", [(0, 1), (1, 0)])

    return jax.jit(all_kinds).lower(given((16, 128), "rows", "columns"))


if __name__ == "__main__":
    for program in (gathered_in_nested_loops, explicit):
        Path(sys.argv[1], f"{program.__name__}.txt").write_text(program().compile().as_text())
