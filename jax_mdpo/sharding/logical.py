"""Logical axes to mesh axes: the only place that knows which dimension is split over what."""

from collections.abc import Sequence

import jax
from jax.sharding import AbstractMesh, AxisType, Mesh, NamedSharding, PartitionSpec

BATCH = "batch"
FSDP = "fsdp"

# A logical axis that is not listed is an error, so that a new layer cannot be left unsharded by a typing slip.
RULES: dict[str, tuple[str, ...]] = {
    BATCH: ("data", FSDP),
    "layers": (),
    "length": (),
    "embed": (FSDP,),
    "heads": ("tensor",),
    "mlp": ("tensor",),
    "vocab": ("tensor",),
    "patch": (),
    "positions": (),
    "rank": (),
    "norm": (),
}


def spec(axes: Sequence[str | None]) -> PartitionSpec:
    """The partition of an array whose dimensions carry these logical axes; None leaves a dimension whole."""
    return PartitionSpec(*(RULES[axis] or None if axis else None for axis in axes))


def stacked(axes: Sequence[str | None], ndim: int) -> tuple[str | None, ...]:
    """`axes` with "layers" in front where the array of `ndim` dimensions holds one slice per layer."""
    return ("layers",) * (ndim - len(axes)) + tuple(axes)


def sharding(mesh: Mesh | AbstractMesh, axes: Sequence[str | None], shape: Sequence[int]) -> NamedSharding:
    """How an array of this shape lies on the mesh. A dimension that its mesh axes do not divide stays whole."""
    wanted = spec(stacked(axes, len(shape)))
    return NamedSharding(mesh, PartitionSpec(*(_fitting(mesh, names, size) for names, size in zip(wanted, shape, strict=True))))


def _fitting(mesh: Mesh | AbstractMesh, names: tuple[str, ...] | str | None, size: int) -> tuple[str, ...] | str | None:
    chosen = (names,) if isinstance(names, str) else names or ()
    ways = 1
    for name in chosen:
        ways *= mesh.shape[name]
    return names if size % ways == 0 else None


def constrain(x: jax.Array, *axes: str | None) -> jax.Array:
    """Pins an activation's partition inside jit; without a mesh in scope, and outside jit, it is the identity."""
    mesh = jax.sharding.get_abstract_mesh()
    if mesh.empty or not mesh.axis_names or all(size == 1 for size in mesh.shape.values()):
        return x
    wanted = PartitionSpec(*(_fitting(mesh, names, size) for names, size in zip(spec(axes), x.shape, strict=True)))
    return jax.lax.with_sharding_constraint(x, wanted)


def gathers() -> bool:
    """Whether the mesh in scope splits weights over fsdp."""
    return dict(jax.sharding.get_abstract_mesh().shape).get(FSDP, 1) > 1


def without_fsdp(axes: Sequence[str | None]) -> tuple[str | None, ...]:
    """`axes`, with None for those that fsdp splits."""
    return tuple(None if axis and FSDP in RULES[axis] else axis for axis in axes)


def make_mesh(data: int = 1, fsdp: int = -1, tensor: int = 1, devices: Sequence[jax.Device] | None = None) -> Mesh:
    """A mesh with the axes data, fsdp and tensor; one of the sizes may be -1: what the others leave."""
    chosen = list(jax.devices() if devices is None else devices)
    sizes = complete({"data": data, "fsdp": fsdp, "tensor": tensor}, len(chosen))
    return jax.make_mesh(tuple(sizes.values()), tuple(sizes), axis_types=(AxisType.Auto,) * 3, devices=chosen)


def complete(sizes: dict[str, int], devices: int) -> dict[str, int]:
    """Mesh sizes with the one -1 filled in. Raises ValueError where they do not multiply to the number of devices."""
    product = 1
    for size in sizes.values():
        product *= size if size != -1 else 1
    filled = {name: devices // product if size == -1 else size for name, size in sizes.items()}
    total = 1
    for size in filled.values():
        total *= size
    if list(sizes.values()).count(-1) > 1 or total != devices:
        raise ValueError(
            f"mesh {sizes} does not cover the {devices} devices that are here: the sizes must multiply to {devices}, at most one may be -1"
        )
    return filled
