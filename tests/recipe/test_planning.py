"""Plans of a tiny model, against its arithmetic; on a TPU's compiler where that is installed."""

import importlib.util
import subprocess
import sys
from dataclasses import replace

import pytest
from end_to_end.world import write_checkpoint, write_config, write_pairs
from safetensors import safe_open

from jax_mdpo.core.errors import ConfigError, UserError
from jax_mdpo.planning.arithmetic import Row, decoder_backward, decoder_forward, head_work, least_work
from jax_mdpo.planning.chips import topology
from jax_mdpo.recipe.changes import changes
from jax_mdpo.recipe.configuration import read_settings
from jax_mdpo.recipe.described import describe
from jax_mdpo.recipe.planning import plan

LORA = 2 * 4 * (32 + 32 + 2 * (32 + 16) + 32 + 32 + 3 * (32 + 48))  # two layers, rank 4; keys and values are half as wide
PREFIX, RESPONSE = 40, 16
FLOAT = 4  # bytes


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """A run's file whose model is a folder without weights."""
    folder = tmp_path_factory.mktemp("plan")
    file = write_config(folder / "run.yaml", write_checkpoint(folder / "model"), write_pairs(folder / "pairs", 9))
    (folder / "model" / "model.safetensors").rename(folder / "elsewhere")
    return file


@pytest.fixture(scope="module")
def settings(world):
    return read_settings(world, ["lora.lora_dropout=0", "batch.pairs=2", "data.buckets=1"])


@pytest.fixture(scope="module")
def forecast(settings):
    return plan(settings, "cpu", prefix=PREFIX, response=RESPONSE)


class Dense(Row):
    """A row under attention that computes every score and then masks."""

    @property
    def seen(self) -> int:
        return self.prefix**2 + sum(branch * (self.prefix + branch) for branch in self.branches)


def test_executed_work_is_what_the_step_s_parts_come_to(settings, forecast):
    model = describe(settings.model)
    sizes = model.family.sizes(model.config)
    expected = 2 * sizes.image
    for row in (Dense(PREFIX, (RESPONSE, RESPONSE)), Dense(PREFIX, (RESPONSE,))):
        policy = decoder_forward(sizes, row, lora=LORA) + decoder_backward(sizes, row, lora=LORA)
        head = 3 * head_work(sizes, RESPONSE * len(row.branches))  # of both models, and the policy's way back
        expected += policy + decoder_forward(sizes, row) + head
    assert forecast.executed == expected
    rows = (Row(PREFIX, (RESPONSE, RESPONSE)), Row(PREFIX, (RESPONSE,)))
    assert forecast.least == least_work(sizes, rows, lora=LORA, images=2)


def test_caches_leave_the_policy_s_work_and_the_projector(world, tmp_path):
    caches = [f"reference.cache={tmp_path / 'reference'}", f"vision.cache={tmp_path / 'vision'}", "negatives=fixed"]
    cached = read_settings(world, [*caches, "lora.lora_dropout=0", "batch.pairs=2", "data.buckets=1"])
    sizes = describe(cached.model).family.sizes(describe(cached.model).config)
    expected = 2 * 2 * 16 * (24 * 32 + 32 * 32)  # two images of 16 patches through the projector
    for row in (Dense(PREFIX, (RESPONSE, RESPONSE)), Dense(PREFIX, (RESPONSE,))):
        decoder = decoder_forward(sizes, row, lora=LORA) + decoder_backward(sizes, row, lora=LORA)
        expected += decoder + 2 * head_work(sizes, RESPONSE * len(row.branches))
    assert plan(cached, "cpu", prefix=PREFIX, response=RESPONSE).executed == expected


def test_memory_by_part(forecast):
    assert forecast.memory.adapter == pytest.approx(3 * LORA * FLOAT, rel=0.01)  # factors, two moments, and a few scalars
    assert forecast.memory.peak == forecast.memory.weights + forecast.memory.adapter + forecast.memory.batch + forecast.memory.temporaries
    assert forecast.fits


def test_weights_are_as_large_as_the_checkpoint(world, forecast):
    with safe_open(world.parent / "elsewhere", "np") as stored:
        assert forecast.memory.weights == sum(stored.get_tensor(key).nbytes for key in stored.keys())  # noqa: SIM118 (no mapping)


def test_lengths_come_from_the_data_where_it_is(world):
    found = plan(read_settings(world), "cpu")
    assert found.total_pairs == 9
    assert any("9 records" in note for note in found.notes)
    text = "\n".join(found.lines())
    assert "memory per chip" in text and "pairs/s" in text


def test_the_first_change_that_makes_it_fit(settings, forecast, monkeypatch):
    """A chip that lacks a tenth of the temporaries' memory."""
    place = topology("cpu")
    small = replace(place.chip, memory=forecast.memory.peak - forecast.memory.temporaries / 10)
    monkeypatch.setattr("jax_mdpo.recipe.planning.topology", lambda name: replace(place, chip=small))
    found = plan(settings, "cpu", prefix=PREFIX, response=RESPONSE)
    assert not found.fits
    assert found.change == "model.remat=elementwise"
    assert "would fit with: model.remat=elementwise" in "\n".join(found.lines())


def test_no_change_is_no_answer(forecast):
    full = replace(forecast.topology, chip=replace(forecast.topology.chip, memory=1.0))
    assert "no change that was tried makes it fit" in "\n".join(replace(forecast, topology=full).lines())


def test_changes_that_keep_results_come_first(settings):
    whole = replace(settings, batch=replace(settings.batch, pairs=4, accumulation=2), model=replace(settings.model, remat="mlp"))
    words = [words for words, *_ in changes(whole, topology("v5e-128"))]
    assert words[:3] == ["model.remat=full", "batch.accumulation=4", "model.remat=full batch.accumulation=4"]
    assert words[3] == "model.quantization=int8"
    assert words[-1] == "--topology v5e-256"
    for _, changed, _ in changes(whole, topology("h100")):
        assert changed.batch.pairs == 4


def test_both_lengths_or_neither(settings):
    with pytest.raises(ConfigError, match="both lengths"):
        plan(settings, "cpu", prefix=3)


@pytest.mark.skipif(importlib.util.find_spec("libtpu") is not None, reason="the TPU compiler is installed here")
def test_a_missing_compiler_is_named_with_the_command_that_brings_it(settings):
    with pytest.raises(UserError, match=r"JAX_MDPO_ACCELERATOR=tpu bash launch/local\.sh plan"):
        plan(settings, "v5e-4")


@pytest.mark.skipif(importlib.util.find_spec("libtpu") is None, reason="the TPU compiler (libtpu) is not installed here")
def test_on_a_tpu_s_compiler(world):
    found = plan(read_settings(world, ["batch.pairs=8"]), "v5e-4", prefix=PREFIX, response=RESPONSE)
    assert found.fits
    assert found.memory.source == "of the TPU compiler"
    assert found.memory.peak >= found.memory.weights + found.memory.adapter
    assert found.network["all-gather"][1] > 0  # the weights lie on four chips
    assert found.seconds > 0


@pytest.mark.skipif(importlib.util.find_spec("libtpu") is None, reason="the TPU compiler (libtpu) is not installed here")
def test_a_tpu_s_compiler_refuses_what_does_not_fit(world):
    """Scores of 40 000 positions in memory; splash holds none, but which kernel runs is no suggestion: memory is had by other means."""
    settings = read_settings(world, ["batch.pairs=2", "model.attention=xla", "data.buckets=[[40000, 128]]"])
    found = plan(settings, "v5e-1", prefix=40000, response=100)
    assert not found.fits and found.memory.source == "of the TPU compiler, which refuses it"
    assert found.memory.peak > found.topology.chip.memory


NO_GPU_COMPILER = importlib.util.find_spec("jax_cuda13_plugin") is None


@pytest.mark.skipif(not NO_GPU_COMPILER, reason="jax's CUDA packages are installed here")
def test_without_the_gpu_compiler_shapes_are_planned_and_the_plan_says_so(settings):
    found = plan(settings, "h100", prefix=PREFIX, response=RESPONSE)
    assert found.memory.source.startswith("by shapes")
    assert any("CUDA packages are not here" in note for note in found.notes)


def planned(world, where, *overrides):
    """What the program says, in a process of its own: without a GPU jax has the GPU's compiler only if it is told so at its start."""
    command = [sys.executable, "-m", "jax_mdpo", "plan", str(world), "--topology", where, *overrides]
    sizes = ["--prefix", str(PREFIX), "--response", str(RESPONSE)]
    found = subprocess.run([*command, *sizes], capture_output=True, text=True)
    assert found.returncode == 0, found.stderr
    return found.stdout


@pytest.mark.skipif(NO_GPU_COMPILER, reason="the GPU compiler (jax's CUDA packages) is not installed here")
@pytest.mark.parametrize("where", ["h100", "a100-40", "l4", "h100x8"])
def test_on_a_gpu_s_compiler(world, where):
    found = planned(world, where, "batch.pairs=8", "batch.accumulation=1", "model.dtype=bfloat16")
    assert "of the GPU compiler" in found and "  fits" in found
    assert "matrix products" in found and "passes over memory" in found
    assert "kernels" in found  # cuDNN's attention
    assert ("all-gather" in found) is (where == "h100x8")  # the weights lie on eight chips


@pytest.mark.skipif(NO_GPU_COMPILER, reason="the GPU compiler (jax's CUDA packages) is not installed here")
def test_packed_rows_are_planned_with_xla_s_attention_on_a_gpu(world):
    found = planned(world, "h100", "batch.pairs=4", "data.pack=2", "model.dtype=bfloat16")
    assert "of the GPU compiler" in found and "as XLA computes it" in found
