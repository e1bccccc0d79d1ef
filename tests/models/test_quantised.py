"""A quantised model is the dense model of its dequantised weights, in loss and LoRA gradient; it is loaded layer by layer."""

import os
import subprocess
import sys
import tracemalloc
from pathlib import Path

import jax
import jax.numpy as jnp
import needs_torch  # noqa: F401
import numpy as np
import pytest
from mdpo_world import make_world

from jax_mdpo.core.errors import WeightsError
from jax_mdpo.data.dataset import PairDataset
from jax_mdpo.data.settings import DataSettings
from jax_mdpo.data.variants import CLEAN_ONLY
from jax_mdpo.exporting.merged import export_merged
from jax_mdpo.models.actors import make_actors
from jax_mdpo.models.checkpoint import load_checkpoint
from jax_mdpo.objectives.dpo import DPO
from jax_mdpo.recipe.adapters import stored_adapter
from jax_mdpo.sharding.logical import make_mesh
from jax_mdpo.training.step import Loss
from jax_mdpo.weights.canonical import CanonicalTensors
from jax_mdpo.weights.files import CheckpointFiles
from jax_mdpo.weights.loading import Leaf, load
from jax_mdpo.weights.quantising import FORMATS, NF4, Parts
from jax_mdpo.weights.tables import Rule, entries, formats, linear, quantised, stacked

both = pytest.mark.parametrize("name", FORMATS)


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    return make_world(tmp_path_factory.mktemp("world"), scale=0.1, alpha=5)


def on_one_device(folder, **options):
    return load_checkpoint(folder, make_mesh(devices=jax.devices()[:1]), **options)


def leaves(checkpoint):
    return {jax.tree_util.keystr(path, simple=True, separator="."): leaf for path, leaf in jax.tree.leaves_with_path(checkpoint.base)}


def loss_and_gradient(checkpoint, world):
    actors, frozen, lora = make_actors(checkpoint, stored_adapter(world.adapter, checkpoint))
    pairs = PairDataset.open(DataSettings(path=str(world.data)), checkpoint.processor)
    (host,) = pairs.batches(pairs.ordered_batches(batch_size=5), variants=CLEAN_ONLY)
    loss = Loss(actors, (DPO(),), chunk=8)
    with checkpoint.scope():
        (value, _), gradient = jax.jit(jax.value_and_grad(loss, has_aux=True))(
            lora, frozen, jax.tree.map(jnp.asarray, host.batch), jnp.float32(host.batch.valid.sum())
        )
    return float(value), gradient


@both
def test_loss_and_gradient_are_those_of_the_dequantised_weights(world, tmp_path, name):
    """The dense twin comes from the exporter, which thereby gives back exactly what was trained on."""
    ours = on_one_device(world.folder, quantization=name)
    export_merged(world.folder, tmp_path / "twin", factors={}, targets={}, dequantised=formats(ours.table))
    value, gradient = loss_and_gradient(ours, world)
    expected, slopes = loss_and_gradient(on_one_device(tmp_path / "twin"), world)
    assert value == pytest.approx(expected, rel=1e-5)
    for found, wanted in zip(jax.tree.leaves(gradient), jax.tree.leaves(slopes), strict=True):
        assert np.linalg.norm(wanted) > 0
        assert np.linalg.norm(found - wanted) < 1e-5 * np.linalg.norm(wanted)


@both
def test_the_decoder_s_kernels_hold_the_stored_weights_codes_and_all_else_is_as_stored(world, name):
    ours, plain = on_one_device(world.folder, quantization=name), on_one_device(world.folder)
    assert (ours.quantization, plain.quantization) == (name, None)
    source, held, dense = CanonicalTensors.of(CheckpointFiles.open(world.folder)), leaves(ours), leaves(plain)
    assert ours.dtype == plain.dtype == np.float32
    kernels = [entry for entry in ours.table if entry.format is not None]
    assert len(kernels) == 7 and all(entry.path.startswith("language_model.layers") for entry in kernels)
    for entry in kernels:
        del dense[f"{entry.path}.value"]
        codes, scale = (held.pop(f"{path}.value") for path in entry.leaves)
        for layer, key in enumerate(entry.keys):
            expected = entry.format.encode(source.read(key).T)
            np.testing.assert_array_equal(codes[layer], expected.codes)
            np.testing.assert_array_equal(scale[layer], expected.scale)
    assert held.keys() == dense.keys()
    assert all(np.array_equal(held[path], dense[path]) for path in held)


def test_codes_do_not_depend_on_the_model_s_dtype(world):
    wide, narrow = (
        leaves(on_one_device(world.folder, quantization="nf4", dtype=dtype)) for dtype in map(np.dtype, ("float32", jnp.bfloat16))
    )
    for path, leaf in wide.items():
        if "codes" in path or "scale" in path:
            np.testing.assert_array_equal(leaf, narrow[path])
        else:
            assert narrow[path].dtype == jnp.bfloat16


def test_a_mesh_holds_the_codes_of_the_single_device(world):
    program = [sys.executable, Path(__file__).parent / "quantised_shards.py", world.folder]
    flags = f"{os.environ.get('XLA_FLAGS', '')} --xla_force_host_platform_device_count=4"
    done = subprocess.run(
        program, check=True, capture_output=True, text=True, env={**os.environ, "XLA_FLAGS": flags, "JAX_PLATFORMS": "cpu"}
    )
    assert done.stdout.splitlines() == ["int8 7 of 7", "nf4 7 of 7"]


class Layers:
    """Sixteen kernels [512, 512] in float32, made when they are read."""

    names = tuple(f"layers.{i}.up.weight" for i in range(16))

    def keys(self):
        return self.names

    def shape(self, key):
        return 512, 512

    def read(self, key, index=None):
        return np.full((512, 512), 1.0 + self.names.index(key), np.float32)


def quantised_layers(outputs=512):
    table = quantised(entries(stacked("layers", linear("up")), {"layers": 16}), "layers", NF4)
    place = jax.sharding.SingleDeviceSharding(jax.devices()[0])
    shapes = NF4.shapes(512, outputs)
    parts = Parts(Leaf((16, *shapes.codes), NF4.dtype, place), Leaf((16, *shapes.scale), np.dtype(np.float32), place))
    return table, dict(zip(table[0].leaves, parts, strict=True))


def test_loading_never_holds_the_dense_leaf():
    """That would be 16 MiB. The codes and scales are 2.25, a layer is 1, and its encoding works on pieces."""
    table, wanted = quantised_layers()
    tracemalloc.start()
    try:
        arrays = load(wanted, table, Layers())
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 10 * 2**20
    np.testing.assert_array_equal(arrays["layers.block.up.kernel.scale"][:, 0, 0], np.arange(1, 17))


def test_a_kernel_of_another_shape_is_refused_by_its_key():
    table, wanted = quantised_layers(outputs=256)
    with pytest.raises(WeightsError, match=r"layers\.0\.up\.weight: expected \(256, 256\) and \(8, 256\) as held, got \(256, 512\)"):
        load(wanted, table, Layers())


def test_a_kernel_outside_a_stack_can_be_quantised_too(tmp_path):
    class One(Layers):
        names = ("head.up.weight",)

    table = quantised(entries([Rule("head.up.weight", "head.up.kernel", "o i -> i o")], {}), "head", NF4)
    place = jax.sharding.SingleDeviceSharding(jax.devices()[0])
    shapes = NF4.shapes(512, 512)
    parts = Parts(Leaf(shapes.codes, NF4.dtype, place), Leaf(shapes.scale, np.dtype(np.float32), place))
    arrays = load(dict(zip(table[0].leaves, parts, strict=True)), table, One())
    np.testing.assert_array_equal(arrays["head.up.kernel.codes"], np.full((256, 512), 15 << 4 | 15))
