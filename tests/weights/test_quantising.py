"""Codes and scales against values worked out by hand, NF4's table against its definition, and NF4 against another implementation."""

from statistics import NormalDist

import jax.numpy as jnp
import numpy as np
import pytest
import qwix

from jax_mdpo.weights.quantising import FORMATS, INT8, NF4, NF4_VALUES, Parts


def column(*values):
    return np.array(values, np.float32)[:, None]


def drawn(inputs=130, outputs=7, dtype=np.float32):
    return np.random.default_rng(0).standard_normal((inputs, outputs)).astype(dtype)


def test_nf4_s_values_are_the_quantiles_that_its_paper_defines():
    """QLoRA, section 3: eight positive and seven negative quantiles of the normal distribution, each side divided by its largest, and 0.

    The outermost lie at the mean of 1 - 1/32 and 1 - 1/30, as in the authors' code.
    """
    outermost = 1 - (1 / 32 + 1 / 30) / 2
    positive = [NormalDist().inv_cdf(p) for p in np.linspace(0.5, outermost, 9)[1:]]
    negative = [NormalDist().inv_cdf(p) for p in np.linspace(outermost, 0.5, 8)[:-1]]
    expected = [*(-value / negative[0] for value in negative), 0.0, *(value / positive[-1] for value in positive)]
    np.testing.assert_allclose(NF4_VALUES, expected, atol=2e-7)  # the published ones passed through float32


def test_int8_codes_and_scale_by_hand():
    parts = INT8.encode(np.concatenate([column(254, -128, 6, -2.6), column(0, 0, 0, 0)], axis=1))
    np.testing.assert_array_equal(parts.codes, [[127, 0], [-64, 0], [3, 0], [-1, 0]])
    np.testing.assert_array_equal(parts.scale, [[2, 0]])
    np.testing.assert_array_equal(INT8.decode(parts, 4), [[254, 0], [-128, 0], [6, 0], [-2, 0]])


def test_nf4_codes_and_scale_by_hand():
    """The block's largest magnitude is 4. Between 0 (code 7) and 0.0796 × 4 (code 8) the boundary is at 0.159."""
    parts = NF4.encode(column(-4, 4, 0, 0.158, 0.161, 2))
    low, high = parts.codes[:, 0] & 15, parts.codes[:, 0] >> 4
    np.testing.assert_array_equal(low, [0, 7, 8])  # -4, 0, 0.161
    np.testing.assert_array_equal(high, [15, 7, 12])  # 4, 0.158, 2: 2 / 4 lies nearest to 0.4407
    np.testing.assert_array_equal(parts.scale, [[4]])
    expected = 4 * np.float32([-1, 1, 0, 0, 0.07958029955625534, 0.44070982933044434])
    np.testing.assert_array_equal(NF4.decode(parts, 6)[:, 0], expected)


def test_nf4_s_blocks_are_64_inputs_of_one_channel_and_the_last_may_be_shorter():
    kernel = drawn(inputs=130)
    parts = NF4.encode(kernel)
    assert parts.codes.shape == (65, 7) and parts.scale.shape == (3, 7) == NF4.shapes(130, 7).scale
    largest = [np.abs(block).max(axis=0) for block in (kernel[:64], kernel[64:128], kernel[128:])]
    np.testing.assert_array_equal(parts.scale, largest)


@pytest.mark.parametrize("inputs", [1, 3, 64, 65, 129])
def test_nf4_takes_any_number_of_inputs(inputs):
    kernel = drawn(inputs, 2)
    assert NF4.decode(NF4.encode(kernel), inputs).shape == kernel.shape


@pytest.mark.parametrize("dtype", ["float32", "float16", "bfloat16"])
@pytest.mark.parametrize(("form", "farthest"), [(INT8, 0.5), (NF4, (1 - 0.6961928009986877) / 2)], ids=["int8", "nf4"])
def test_no_weight_is_farther_off_than_half_the_widest_gap_between_codes(form, farthest, dtype):
    kernel = drawn(dtype=jnp.dtype(dtype))
    parts = form.encode(kernel)
    scale = np.repeat(parts.scale, form.block or 130, axis=0)[:130]
    off = np.abs(form.decode(parts, 130) - kernel.astype(np.float32))
    assert (off <= scale * farthest * (1 + 1e-5)).all() and off.max() > 0


@pytest.mark.parametrize("form", FORMATS.values(), ids=FORMATS)
def test_what_has_been_encoded_encodes_to_itself(form):
    kernel = form.decode(form.encode(drawn()), 130)
    np.testing.assert_array_equal(form.decode(form.encode(kernel), 130), kernel)


def test_many_chunks_are_one_kernel(monkeypatch):
    kernel = drawn(outputs=50)
    whole = NF4.encode(kernel)
    monkeypatch.setattr("jax_mdpo.weights.quantising._CHUNK", 1000)
    for ours, expected in zip(NF4.encode(kernel), whole, strict=True):
        np.testing.assert_array_equal(ours, expected)


def test_nf4_agrees_with_qwix():
    kernel = drawn(inputs=128, outputs=40)
    theirs = qwix.quantize(jnp.asarray(kernel), "nf4", channelwise_axes=[1], tiled_axes={0: 64})
    ours = NF4.encode(kernel)
    both = np.stack([ours.codes & 15, ours.codes >> 4], axis=1).reshape(128, 40)
    np.testing.assert_array_equal(both, np.asarray(theirs.qvalue).astype(np.uint8))
    np.testing.assert_array_equal(ours.scale, theirs.scale)
    np.testing.assert_array_equal(NF4.decode(Parts(*ours), 128), qwix.dequantize(theirs))
