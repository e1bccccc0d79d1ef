"""Attention by each kernel: every branch attends as a sequence of its own, in value and gradient, and nothing leaks.

On a CPU the kernels of accelerators are replaced: cuDNN's by XLA, splash's by its interpreter. What is tested is all that stands around
the one, and the program of the other. Where an accelerator is at hand, its own kernel is.
"""

from functools import lru_cache

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from layers.rows import ONE, SEVERAL, attention, tensors

from jax_mdpo.core.errors import ConfigError
from jax_mdpo.layers.attention import attend, full
from jax_mdpo.layers.attention.splash import block_sizes
from jax_mdpo.layers.rows import Rows

HERE = jax.default_backend()
OWN = {"cpu": ["cudnn", "splash"], "gpu": ["cudnn"], "tpu": ["splash"]}[HERE]
KERNELS = ["xla", *OWN]
DRAWN = {"one": ONE, "several": SEVERAL}
LENGTH = SEVERAL.segments.shape[1]


def dtype_of(kernel):
    return jnp.bfloat16 if (HERE, kernel) == ("gpu", "cudnn") else jnp.float32


def close(ours, theirs, kernel):
    """Equal to 1e-5 in float32. bfloat16 keeps 8 bits of inputs, weights and outputs, all of the order of 1: 0.05 is a few roundings."""
    atol = 1e-5 if dtype_of(kernel) == jnp.float32 else 0.05
    np.testing.assert_allclose(np.asarray(ours, np.float32), np.asarray(theirs, np.float32), rtol=atol, atol=atol)


@lru_cache
def compiled(kernel, name):
    """(q, k, v, cotangent) → (outputs, gradients)."""

    @jax.jit
    @jax.default_matmul_precision("highest")
    def both(*given):
        *tensors, cotangent = (jnp.asarray(x, dtype_of(kernel)) for x in given)
        outputs, pull = jax.vjp(lambda *of: attend(*of, DRAWN[name].rows, kernel), *tensors)
        return outputs, pull(cotangent)

    return both


def drawn_weights(places):
    """A cotangent that is zero everywhere but at `places`, [B, T]."""
    weights, *_ = tensors(2, LENGTH)
    return np.where(places[..., None, None], weights, 0.0).astype(np.float32)


@pytest.mark.parametrize("kernel", KERNELS)
@pytest.mark.parametrize("name", DRAWN)
def test_each_branch_attends_as_its_own_sequence(kernel, name):
    q, k, v = tensors(1, LENGTH)
    out, _ = compiled(kernel, name)(q, k, v, np.zeros_like(q))
    assert np.all(np.isfinite(out))
    for row, path in DRAWN[name].paths():
        close(out[row][path], attention(path, q[row], k[row], v[row]), kernel)


@pytest.mark.parametrize("kernel", OWN)
@pytest.mark.parametrize("name", DRAWN)
def test_gradients_are_those_of_plain_xla(kernel, name):
    given = (*tensors(1, LENGTH), drawn_weights(DRAWN[name].segments > 0))
    for ours, plain in zip(compiled(kernel, name)(*given)[1], compiled("xla", name)(*given)[1], strict=True):
        close(ours, plain, kernel)


HIDDEN = np.zeros((3, LENGTH), bool)  # the second branch and padding of row 0, the first pair of row 2
SEEING = np.zeros((3, LENGTH), bool)  # real positions that see nothing of these
for row, hidden, seeing in ((0, [3, 7, 8, 9], [0, 1, 2, 4, 5]), (1, [], [1, 3, 4, 5, 6, 7, 8]), (2, [0, 4, 5], [1, 2, 3, 6])):
    HIDDEN[row, hidden], SEEING[row, seeing] = True, True


@pytest.mark.parametrize("kernel", KERNELS)
def test_nothing_leaks_between_branches_rows_pairs_or_from_padding(kernel):
    q, k, v = tensors(1, LENGTH)
    run = compiled(kernel, "several")
    before = np.asarray(run(q, k, v, np.zeros_like(q))[0])  # awaited: the arrays that it reads are changed below
    k[HIDDEN], v[HIDDEN] = 300.0, 1e6
    after = np.asarray(run(q, k, v, np.zeros_like(q))[0])
    np.testing.assert_array_equal(after[SEEING], before[SEEING])
    assert np.all(np.isfinite(after)) and not np.array_equal(after[0, 7], before[0, 7])


@pytest.mark.parametrize("kernel", KERNELS)
def test_no_gradient_reaches_what_is_not_seen(kernel):
    _, gradients = compiled(kernel, "several")(*tensors(1, LENGTH), drawn_weights(SEEING))
    for gradient in gradients:
        np.testing.assert_array_equal(gradient[HIDDEN], 0.0)
        assert np.abs(gradient[0, 1]).max() > 0


@pytest.mark.parametrize("kernel", KERNELS)
def test_rows_may_lack_branches_or_prefixes(kernel):
    q, k, v = tensors(1, LENGTH)
    segments = jnp.asarray(SEVERAL.segments)

    @jax.jit
    @jax.default_matmul_precision("highest")
    def alone(*given):
        of = [jnp.asarray(x, dtype_of(kernel)) for x in given]
        without_branches, without_prefix = Rows(segments, (), 2), Rows(segments[:, :0], (segments,), 2)
        return attend(*of, without_branches, kernel), attend(*of, without_prefix, kernel)

    for out in alone(q, k, v):
        for row, segment in ((0, 1), (1, 1), (2, 1), (2, 2)):
            path = np.flatnonzero(SEVERAL.segments[row] == segment)
            close(out[row][path], attention(path, q[row], k[row], v[row]), kernel)


@pytest.mark.parametrize("kernel", OWN)
def test_full_attention_is_plain_xla_s(kernel):
    given = tensors(3, 131)  # odd, and no multiple of a block

    @jax.default_matmul_precision("highest")
    def both(kernel, dtype):
        def outputs_and_gradients(*of):
            outputs, pull = jax.vjp(lambda *of: full(*of, kernel), *of)
            return outputs, *pull(jnp.sin(of[0]))

        return jax.jit(outputs_and_gradients)(*(jnp.asarray(x, dtype) for x in given))

    for ours, plain in zip(both(kernel, dtype_of(kernel)), both("xla", jnp.float32), strict=True):
        close(ours, plain, kernel)


@pytest.mark.parametrize(
    ("length", "padded", "block", "scored"),
    [(1, 128, 128, 128), (768, 768, 768, 384), (896, 896, 896, 128), (1071, 1280, 640, 128), (2048, 2048, 1024, 512)],
)
def test_splash_cuts_a_row_into_few_equal_blocks(length, padded, block, scored):
    size, blocks = block_sizes(length)
    assert (size, blocks.block_q, blocks.block_kv_dkv, blocks.block_kv_dkv_compute) == (padded, block, block, scored)
    assert size % block == 0 and block % scored == 0


@pytest.mark.parametrize("kernel", OWN)
def test_long_rows_too(kernel):
    """Splash cuts these into two blocks; the second branch lies in the second block, apart from the first, which spans both."""
    rng = np.random.default_rng(4)
    q, k, v, weights = rng.normal(size=(4, 1, 1071, 1, 8)).astype(np.float32)
    prefix, first, second = (jnp.asarray(rng.integers(0, 3, size=(1, length))) for length in (601, 341, 129))
    rows = Rows(prefix, (first, second), pairs=2)
    weights = np.where(np.asarray(rows.segments)[..., None, None] > 0, weights, 0.0).astype(np.float32)

    @jax.default_matmul_precision("highest")
    def both(kernel, dtype):
        def outputs_and_gradients(*of):
            outputs, pull = jax.vjp(lambda *of: attend(*of, rows, kernel) * weights.astype(of[0].dtype), *of)
            return outputs, *pull(jnp.ones_like(outputs))

        return jax.jit(outputs_and_gradients)(*(jnp.asarray(x, dtype) for x in (q, k, v)))

    for ours, plain in zip(both(kernel, dtype_of(kernel)), both("xla", jnp.float32), strict=True):
        close(ours, plain, kernel)


def test_heads_that_cudnn_does_not_take_are_refused():
    x = jnp.zeros((1, 2, 1, 257), jnp.bfloat16)
    with pytest.raises(ConfigError, match=r"at most (256|128)"):
        full(x, x, x, "cudnn")
