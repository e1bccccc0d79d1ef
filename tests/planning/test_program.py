"""Work and memory read from traced programs, against products counted by hand."""

from collections import Counter

import jax
import jax.numpy as jnp
import pytest
from jax.experimental import pallas

from jax_mdpo.planning.liveness import alive_bytes
from jax_mdpo.planning.program import matrix_work

FLOAT = 4  # bytes
X, W = jax.ShapeDtypeStruct((8, 16), jnp.float32), jax.ShapeDtypeStruct((16, 16), jnp.float32)
WS = jax.ShapeDtypeStruct((5, 16, 16), jnp.float32)
PRODUCT = 2 * 8 * 16 * 16


def work(function, *shapes) -> Counter:
    return matrix_work(jax.make_jaxpr(function)(*shapes))


def layers(x, ws, *, remat=False):
    def body(x, w):
        return jnp.tanh(x @ w), None

    return jax.lax.scan(jax.checkpoint(body) if remat else body, x, ws)[0].sum()


def test_products_and_contracted_axes():
    assert work(jnp.matmul, X, W) == {"products": PRODUCT}
    attention = jax.ShapeDtypeStruct((2, 7, 3, 4), jnp.float32)
    assert work(lambda q, k: jnp.einsum("btnh,bsnh->bnts", q, k), attention, attention) == {"products": 2 * (2 * 3 * 7 * 7) * 4}


def test_convolutions():
    def convolve(image, kernel):
        return jax.lax.conv_general_dilated(image, kernel, (2, 2), "VALID", dimension_numbers=("NHWC", "HWIO", "NHWC"))

    image, kernel = jax.ShapeDtypeStruct((1, 8, 8, 3), jnp.float32), jax.ShapeDtypeStruct((2, 2, 3, 5), jnp.float32)
    assert work(convolve, image, kernel) == {"products": 2 * (4 * 4 * 5) * (2 * 2 * 3)}


def test_loops_are_multiplied_out_and_calls_entered():
    assert work(jax.jit(layers), X, WS) == {"products": 5 * PRODUCT}


@pytest.mark.parametrize(("remat", "products"), [(False, 1 + 1), (True, 1 + 1 + 1)])
def test_a_gradient_with_and_without_rematerialisation(remat, products):
    """Of the first argument only: no product for the gradient of the matrices."""
    assert work(jax.grad(lambda x, ws: layers(x, ws, remat=remat)), X, WS) == {"products": 5 * products * PRODUCT}


def test_the_dearest_branch_counts():
    assert work(lambda x, w: jax.lax.cond(x[0, 0] > 0, lambda: x @ w @ w, lambda: x @ w), X, W) == {"products": 2 * PRODUCT}


def test_kernels_count_their_body_times_their_grid():
    def kernel(x, w, out):
        out[...] = x[...] @ w[...]

    def tiled(x, w):
        rows = pallas.BlockSpec((4, 16), lambda i: (i, 0))
        whole = pallas.BlockSpec((16, 16), lambda i: (0, 0))
        return pallas.pallas_call(kernel, out_shape=X, grid=(2,), in_specs=[rows, whole], out_specs=rows)(x, w)

    assert work(tiled, X, W) == {"kernels": PRODUCT}


def alive(function, *shapes) -> int:
    return alive_bytes(jax.make_jaxpr(function)(*shapes))


def test_intermediate_results_live_until_their_last_reader():
    wide = jax.ShapeDtypeStruct((16, 64), jnp.float32)
    narrow = jax.ShapeDtypeStruct((64, 16), jnp.float32)
    assert alive(lambda x, up, down: x @ up @ down, X, wide, narrow) == 8 * 64 * FLOAT  # arguments and the result do not count

    def two(x, up, down):
        return (x @ up) @ down @ ((x * 2) @ up @ down).T

    assert (
        alive(two, X, wide, narrow) == (8 * 16 + 8 * 64 + 8 * 16) * FLOAT
    )  # the first product, and the second one beside what it is made from


def test_elementwise_results_are_made_in_their_reader():
    assert alive(lambda x, w: jnp.tanh(x @ w) @ w, X, W) == 8 * 16 * FLOAT
    assert alive(lambda x, w: (x + 1) @ w, X, W) == 0


def test_what_the_backward_pass_keeps_of_a_loop():
    def gradient(remat):
        return alive(jax.grad(lambda x, ws: layers(x, ws, remat=remat)), X, WS)

    stacked = 5 * 8 * 16 * FLOAT  # of tanh, or of each layer's input
    assert gradient(False) >= stacked
    assert gradient(True) >= stacked
    assert alive(layers, X, WS) < stacked
