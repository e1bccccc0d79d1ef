"""Turns of loops and bytes between devices, read from programs that the compiler wrote; cycles from a TPU's way of writing them."""

import subprocess
import sys
from pathlib import Path

import pytest

from jax_mdpo.planning.hlo import Collective, array_bytes, collectives, cycles, parse, steps

FLOAT = 4  # bytes

# the form in which the TPU compiler writes: no trip count, cycles in the backend's configuration, one gather over several fusions
TPU = """
HloModule jit_step, is_scheduled=true

%body (p.1: (s32[], bf16[8,128])) -> (s32[], bf16[8,128]) {
  %p.1 = (s32[]{:T(128)}, bf16[8,128]{1,0:T(8,128)(2,1)S(1)}) parameter(0)
  %start = (bf16[8,128]{1,0:T(8,128)}, u32[]{:S(2)}) fusion(%p.1), kind=kCustom, calls=%begun, backend_config={"flag_configs":[]}
  %work = bf16[8,128]{1,0} fusion(%start), kind=kOutput, calls=%spread, backend_config={"window_config":{"estimated_cycles":"700"}}
  ROOT %tuple.1 = (s32[], bf16[8,128]) tuple(%p.1, %work)
}

%begun (p.2: bf16[2,128]) -> (bf16[8,128], u32[]) {
  %gather.1 = bf16[8,128]{1,0:T(8,128)} all-gather(%p.2), channel_id=7, replica_groups=mesh['x'=2,'y'=4] {'y'}, dimensions={0}
  ROOT %custom-call.1 = (bf16[8,128]{1,0}, u32[]) custom-call(%gather.1), custom_call_target="AsyncCollectiveStart"
}

%spread (p.3: bf16[2,128]) -> bf16[8,128] {
  ROOT %gather.2 = bf16[8,128]{1,0:T(8,128)S(1)} all-gather(%p.3), channel_id=7, replica_groups=mesh['x'=2,'y'=4] {'y'}, dimensions={0}
}

%condition (p.4: (s32[], bf16[8,128])) -> pred[] {
  %constant.1 = s32[]{:T(128)} constant(32)
  ROOT %lt.1 = pred[]{:T(512)} compare(%p.4, %constant.1), direction=LT
}

ENTRY %main (p.5: bf16[2,128]) -> (s32[], bf16[8,128]) {
  %before = bf16[2,128]{1,0} fusion(%p.5), kind=kLoop, calls=%other, backend_config={"window_config":{"estimated_cycles":"50"}}
  %scattered = f32[4]{0} reduce-scatter(%before), channel_id=2, replica_groups=[2,4]<=[8], dimensions={0}, to_apply=%add
  ROOT %while.1 = (s32[], bf16[8,128]) while(%before), condition=%condition, body=%body
}
"""


@pytest.fixture(scope="module")
def compiled(tmp_path_factory):
    folder = tmp_path_factory.mktemp("hlo")
    subprocess.run([sys.executable, Path(__file__).parent / "transfers.py", folder], check=True)
    return lambda name: parse((folder / f"{name}.txt").read_text())


def test_loops_within_loops_are_multiplied_out(compiled):
    loops = [step for step in steps(compiled("gathered_in_nested_loops")) if step.instruction.opcode == "while"]
    assert [step.times for step in loops] == [1, 3]


def test_a_transfer_in_nested_loops_counts_each_time(compiled):
    (gather,) = collectives(compiled("gathered_in_nested_loops"))
    assert (gather.kind, gather.times) == ("all-gather", 3 * 5)
    assert gather.sent == 64 * 64 * FLOAT // 2  # the half that the other device lacks


def test_bytes_of_each_kind_of_transfer(compiled):
    held = 8 * 64 * FLOAT
    found = {one.kind: one.sent for one in collectives(compiled("explicit"))}
    assert found == {
        "all-gather": 2 * held // 2,
        "all-reduce": 2 * held * 3 // 4,
        "reduce-scatter": held // 2,
        "all-to-all": held // 2,
        "collective-permute": held,
    }


def test_what_a_tpu_s_compiler_writes():
    module = parse(TPU)
    assert cycles(module) == 50 + 32 * 700
    scattered, gathered = sorted(collectives(module), key=lambda one: one.times)
    assert gathered == Collective("all-gather", 8 * 128 * 2 * 3 // 4, times=32, hidden=True)
    assert scattered == Collective("reduce-scatter", 4 * 4 * FLOAT * 3 // 4, times=1, hidden=False)


@pytest.mark.parametrize(("kind", "size"), [("bf16", 2), ("s4", 0.5), ("f8e4m3fn", 1), ("pred", 1), ("f32", 4)])
def test_bytes_of_arrays(kind, size):
    assert array_bytes(kind, "6,4") == 24 * size
    assert array_bytes("f32", "") == FLOAT
