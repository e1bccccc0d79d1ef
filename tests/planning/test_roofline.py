"""What a GPU's program multiplies and moves, counted by hand on the form in which its compiler writes."""

import pytest

from jax_mdpo.planning.chips import topology
from jax_mdpo.planning.compiled import MEMORY_SHARE, PRODUCT_SHARE, Compiled
from jax_mdpo.planning.hlo import parse
from jax_mdpo.planning.roofline import costs

BF16 = 2  # bytes
PROGRAM = """
HloModule jit_step, is_scheduled=true

%sliced_product (p0: bf16[32,64,128], p1: s32[], p2: bf16[256,64]) -> (bf16[256,128], s8[4096]) {
  %p2 = bf16[256,64]{1,0} parameter(2)
  %p0 = bf16[32,64,128]{2,1,0} parameter(0)
  %p1 = s32[] parameter(1)
  %zero = s32[] constant(0)
  %slice = bf16[1,64,128]{2,1,0} dynamic-slice(%p0, %p1, %zero, %zero), dynamic_slice_sizes={1,64,128}
  %matrix = bf16[64,128]{1,0} bitcast(%slice)
  ROOT %matmul = (bf16[256,128]{1,0}, s8[4096]{0}) custom-call(%p2, %matrix), custom_call_target="__cublas$lt$matmul", backend_config={"gemm_backend_config":{"dot_dimension_numbers":{"lhs_contracting_dimensions":["1"],"rhs_contracting_dimensions":["0"]}}}
}

%stored (q0: bf16[32,256,128], q1: s32[], q2: bf16[256,128]) -> bf16[32,256,128] {
  %q0 = bf16[32,256,128]{2,1,0} parameter(0)
  %q2 = bf16[256,128]{1,0} parameter(2)
  %q1 = s32[] parameter(1)
  %none = s32[] constant(0)
  %line = bf16[1,256,128]{2,1,0} bitcast(%q2)
  ROOT %kept = bf16[32,256,128]{2,1,0} dynamic-update-slice(%q0, %line, %q1, %none, %none)
}

%body (p.1: (s32[], bf16[256,64], bf16[32,64,128], bf16[32,256,128])) -> (s32[], bf16[256,64], bf16[32,64,128], bf16[32,256,128]) {
  %p.1 = (s32[], bf16[256,64]{1,0}, bf16[32,64,128]{2,1,0}, bf16[32,256,128]{2,1,0}) parameter(0)
  %turn = s32[] get-tuple-element(%p.1), index=0
  %x = bf16[256,64]{1,0} get-tuple-element(%p.1), index=1
  %ws = bf16[32,64,128]{2,1,0} get-tuple-element(%p.1), index=2
  %ys = bf16[32,256,128]{2,1,0} get-tuple-element(%p.1), index=3
  %product = (bf16[256,128]{1,0}, s8[4096]{0}) fusion(%ws, %turn, %x), kind=kCustom, calls=%sliced_product
  %y = bf16[256,128]{1,0} get-tuple-element(%product), index=0
  %all = bf16[32,256,128]{2,1,0} fusion(%ys, %turn, %y), kind=kLoop, calls=%stored
  %scores = (bf16[256,64]{1,0}, u8[0]{0}) custom-call(%x, %x, %x), custom_call_target="__cudnn$fmhaSoftmax"
  ROOT %next = (s32[], bf16[256,64], bf16[32,64,128], bf16[32,256,128]) tuple(%turn, %x, %ws, %all)
}

%condition (p.4: (s32[], bf16[256,64], bf16[32,64,128], bf16[32,256,128])) -> pred[] {
  ROOT %lt = pred[] compare(%p.4, %p.4), direction=LT
}

ENTRY %main (p.5: bf16[256,64]) -> bf16[256,64] {
  %p.5 = bf16[256,64]{1,0} parameter(0)
  %started = (s32[], bf16[256,64], bf16[32,64,128], bf16[32,256,128]) tuple(%p.5)
  %while.1 = (s32[], bf16[256,64], bf16[32,64,128], bf16[32,256,128]) while(%started), condition=%condition, body=%body, backend_config={"known_trip_count":{"n":"32"}}
  ROOT %moved = bf16[256,64]{0,1} copy(%p.5)
}
"""  # noqa: E501 (lines as long as the compiler writes them)
PRODUCT = 2 * 256 * 64 * 128
READ, MATRIX, WRITTEN = 256 * 64 * BF16, 64 * 128 * BF16, 256 * 128 * BF16


@pytest.fixture(scope="module")
def program():
    return parse(PROGRAM)


def test_what_each_operation_multiplies_and_moves(program):
    product, stored, kernel, copy = costs(program)
    index = 4
    assert product == (PRODUCT, READ + MATRIX + index + WRITTEN, False, 32)  # one slice of the stack, and no workspace
    assert stored == (0, WRITTEN + index + WRITTEN, False, 32)  # what the stack holds already is neither read nor written
    assert kernel.kernel and kernel.times == 32
    assert copy == (0, 2 * READ, False, 1)


def test_its_time_is_the_longer_of_arithmetic_and_traffic(program):
    chip = topology("h100").chip
    times = {part.what: part.seconds for part in Compiled(0.0, program).times(chip, kernels=0.0)}
    flow = MEMORY_SHARE * chip.bandwidth
    moved = READ + MATRIX + 4 + WRITTEN
    assert PRODUCT / (PRODUCT_SHARE * chip.flops) < moved / flow  # so small a product waits for its operands
    assert times == pytest.approx({"matrix products": 32 * moved / flow, "passes over memory": (32 * (2 * WRITTEN + 4) + 2 * READ) / flow})
