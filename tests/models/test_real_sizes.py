"""The real sizes, as shapes: parameter counts by arithmetic, and the mDPO step of LLaVA-1.5-7B traced with the published recipe."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from transformers import CLIPVisionConfig, LlamaConfig, LlavaConfig

from jax_mdpo.core.batch import Batch, Branch, Prefix
from jax_mdpo.layers.execution import Execution
from jax_mdpo.lora.attach import attach, linear_shapes, split
from jax_mdpo.lora.settings import LoRASettings
from jax_mdpo.lora.targets import resolve_targets
from jax_mdpo.models.actors import Actors, Frozen
from jax_mdpo.models.families.llava import family
from jax_mdpo.models.families.llava.config import read_config
from jax_mdpo.objectives.anchored import Anchored
from jax_mdpo.objectives.conditional import Conditional
from jax_mdpo.objectives.dpo import DPO
from jax_mdpo.training.optimizer import OptimizerSettings, learning_rate, make_optimizer
from jax_mdpo.training.state import TrainState
from jax_mdpo.training.step import Loss, make_step
from jax_mdpo.weights.tables import linear_modules

# (decoder width, MLP width, layers, heads); the vocabulary of llava-hf's checkpoints is Vicuna's 32000 and 64 more
SIZES = {"7b": (4096, 11008, 32, 32), "13b": (5120, 13824, 40, 40)}
VOCABULARY = 32064
PAIRS, PREFIX, RESPONSE = 4, 640, 128


def configuration(folder, size):
    width, mlp, layers, heads = SIZES[size]
    tower = CLIPVisionConfig(
        hidden_size=1024, intermediate_size=4096, num_hidden_layers=24, num_attention_heads=16, image_size=336, patch_size=14
    )
    text = LlamaConfig(
        hidden_size=width,
        intermediate_size=mlp,
        num_hidden_layers=layers,
        num_attention_heads=heads,
        num_key_value_heads=heads,
        vocab_size=VOCABULARY,
        rms_norm_eps=1e-5,
    )
    LlavaConfig(vision_config=tower, text_config=text).save_pretrained(folder)
    return read_config(folder, pixel_scale=1 / 255, pixel_mean=(0.5, 0.5, 0.5), pixel_std=(0.2, 0.2, 0.2))


def build(config):
    return family.build(config, rngs=nnx.Rngs(0), dtype=jnp.bfloat16, execution=Execution(remat="full"))


@pytest.mark.parametrize("size", SIZES)
def test_parameter_counts(tmp_path, size):
    width, mlp, layers, _ = SIZES[size]
    decoder = 2 * VOCABULARY * width + layers * (4 * width**2 + 3 * width * mlp + 2 * width) + width
    block = 4 * (1024**2 + 1024) + (1024 * 4096 + 4096) + (4096 * 1024 + 1024) + 4 * 1024
    tower = 1024 + 3 * 14**2 * 1024 + 577 * 1024 + 24 * block + 4 * 1024
    projector = 1024 * width + width + width**2 + width
    shapes = nnx.state(nnx.eval_shape(lambda: build(configuration(tmp_path, size))))
    assert sum(int(np.prod(leaf.shape)) for leaf in jax.tree.leaves(shapes)) == decoder + tower + projector


def test_the_published_step_of_7b_traces_and_updates_every_decoder_layer(tmp_path):
    config = configuration(tmp_path, "7b")
    modules = linear_modules(family.table(config))
    targets = resolve_targets(LoRASettings(r=64, lora_alpha=128, target_modules=family.LORA_TARGETS), list(modules))
    assert len(targets) == 32 * 7
    graph = nnx.graphdef(nnx.eval_shape(lambda: build(config)))
    lora_graph, lora, constants, base = split(nnx.eval_shape(lambda: _adapted(build(config), modules, targets)))
    actors = Actors(lora_graph, lora_graph, graph, True, jax.tree.structure(lora), "cpu")
    lora = nnx.to_pure_dict(lora)
    trainable = sum(int(np.prod(leaf.shape)) for leaf in jax.tree.leaves(lora))
    assert trainable == 32 * 64 * (4 * (4096 + 4096) + 3 * (4096 + 11008))
    optimizer = make_optimizer(OptimizerSettings(), 100)
    loss = Loss(actors, (DPO(), Conditional(), Anchored()), chunk=32)
    step = make_step(loss, optimizer, learning_rate(OptimizerSettings(), 100), accumulation=2, dropout=False)
    scalar, key = jax.ShapeDtypeStruct((), jnp.int32), jax.ShapeDtypeStruct((2,), jnp.uint32)
    state = TrainState(scalar, lora, jax.eval_shape(optimizer.init, lora), key)
    new, metrics = jax.eval_shape(step, Frozen(base, constants, nnx.State({}), nnx.State({})), state, _batch())
    assert jax.tree.map(lambda leaf: (leaf.shape, leaf.dtype), new.lora) == jax.tree.map(lambda leaf: (leaf.shape, leaf.dtype), lora)
    assert {"loss", "loss/dpo", "loss/conditional", "loss/anchor", "grad_norm"} <= set(metrics)


def _adapted(model, modules, targets):
    zero = np.float32(0)
    shapes = linear_shapes(model, modules)
    hollow = {name: (np.broadcast_to(zero, (64, shapes[name][0])), np.broadcast_to(zero, (shapes[name][1], 64))) for name in targets}
    attach(model, modules, targets, hollow)
    return model


def _batch() -> Batch:
    def of(length, kind):
        return jax.ShapeDtypeStruct((PAIRS, length), kind)

    branch = Branch(*(of(RESPONSE, kind) for kind in (jnp.int32, jnp.int32, jnp.int32, jnp.int32, bool)))
    images = {name: jax.ShapeDtypeStruct((PAIRS, 1, 336, 336, 3), jnp.uint8) for name in ("clean", "negative")}
    prefix = Prefix(of(PREFIX, jnp.int32), of(PREFIX, jnp.int32), of(PREFIX, jnp.int32))
    return Batch(images, prefix, {"chosen": branch, "rejected": branch}, jax.ShapeDtypeStruct((PAIRS, 1), bool))
