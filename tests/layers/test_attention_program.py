"""What the programs for accelerators hold: no array of length × length outside a kernel, and no kernel's forward pass twice.

They are traced for devices that are not here. The lengths are far larger than every other size, so that a shape says what an array is.
"""

import jax
import jax.numpy as jnp
import pytest
from jax.sharding import AbstractDevice, AbstractMesh, AxisType
from programs import equations

from jax_mdpo.layers.attention import attend, full
from jax_mdpo.layers.remat import rematerialised
from jax_mdpo.layers.rows import Rows

PREFIX, FIRST, SECOND, BATCH, HEADS, KV_HEADS, SIZE = 211, 223, 227, 2, 4, 2, 16
LENGTH, LENGTH_SIZED = PREFIX + FIRST + SECOND, 200  # the kernels' own sizes (128 lanes, 512-wide blocks inside) stay below or apart
DEVICES = {"cudnn": ("NVIDIA H100 80GB HBM3", "gpu"), "splash": ("TPU v5 lite", "tpu"), "xla": ("cpu", "cpu")}
FORWARD = {"cudnn": "dot_product_attention_fwd", "splash": "splash_mha_fwd"}
BACKWARD = {"cudnn": "dot_product_attention_bwd", "splash": "splash_mha_dkv"}


@pytest.fixture
def traced(monkeypatch):
    """Traces gradients of attention for a kernel's own device."""
    from jax._src.cudnn import fused_attention_stablehlo

    monkeypatch.setattr(fused_attention_stablehlo, "check_cudnn_version", lambda: 91100)  # no cuDNN is installed here

    def trace(kernel, attention, remat="none"):
        kind, platform = DEVICES[kernel]
        device = AbstractDevice(device_kind=kind, num_cores=1, platform=platform)
        mesh = AbstractMesh((1,), ("data",), axis_types=(AxisType.Auto,), abstract_device=device)
        shapes = [jax.ShapeDtypeStruct((BATCH, LENGTH, heads, SIZE), jnp.bfloat16) for heads in (HEADS, KV_HEADS, KV_HEADS)]

        def total(*of):
            return jnp.sum(rematerialised(lambda *of: attention(*of, kernel), remat, scanned=False)(*of).astype(jnp.float32) ** 2)

        with jax.sharding.use_abstract_mesh(mesh):
            return list(equations(jax.make_jaxpr(jax.grad(total, argnums=(0, 1, 2)))(*shapes).jaxpr, enter=runs_outside_kernels))

    return trace


def runs_outside_kernels(equation):
    """Calls without results are left over where all that they gave was kept; XLA drops them."""
    return equation.primitive.name != "pallas_call" and bool(equation.outvars)


def of_pairs(pairs):
    def attention(q, k, v, kernel):
        prefix, *branches = (jnp.ones((BATCH, length), jnp.int32) for length in (PREFIX, FIRST, SECOND))
        return attend(q, k, v, Rows(prefix, tuple(branches), pairs), kernel)

    return attention


def squares(program):
    """Shapes with two axes of a length's size."""
    shapes = {variable.aval.shape for equation in program for variable in (*equation.invars, *equation.outvars)}
    return {shape for shape in shapes if sum(size >= LENGTH_SIZED for size in shape) >= 2}


def calls(program, name):
    names = (f"{equation.primitive.name} {equation.params.get('name', '')}" for equation in program)
    return sum(name in one for one in names)


ATTENTIONS = {"one": of_pairs(1), "several": of_pairs(3), "full": full}


@pytest.mark.parametrize("attention", ATTENTIONS)
@pytest.mark.parametrize("kernel", ["cudnn", "splash"])
def test_no_array_is_as_long_as_wide(traced, kernel, attention):
    program = traced(kernel, ATTENTIONS[attention])
    assert squares(program) == set()
    assert calls(program, FORWARD[kernel]) == calls(program, BACKWARD[kernel]) > 0


def test_the_check_would_see_one(traced):
    assert any(shape[-2:] == (FIRST, PREFIX + FIRST) for shape in squares(traced("xla", of_pairs(1))))


@pytest.mark.parametrize("remat", ["elementwise", "mlp"])
@pytest.mark.parametrize("kernel", ["cudnn", "splash"])
def test_kept_attention_is_not_computed_twice(traced, kernel, remat):
    once, again = (calls(traced(kernel, of_pairs(1), policy), FORWARD[kernel]) for policy in (remat, "full"))
    assert again == 2 * once > 0
