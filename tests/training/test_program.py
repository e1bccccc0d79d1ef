"""What the compiled step holds: no logits of all response positions, no gradient of a base weight.

The dimensions are distinct primes (a head's size must be even), so that a shape says what an array is. Each check is also run on a
program that breaks it.
"""

import re
from collections.abc import Iterator
from math import prod

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from programs import products

from jax_mdpo.core.batch import Batch, Branch, Prefix
from jax_mdpo.layers.execution import Execution
from jax_mdpo.lora.attach import attach, initial, linear_shapes, split
from jax_mdpo.lora.settings import LoRASettings
from jax_mdpo.lora.targets import resolve_targets
from jax_mdpo.models.actors import Actors, Frozen
from jax_mdpo.models.families.llava import family
from jax_mdpo.models.families.llava.config import LlavaConfig
from jax_mdpo.models.parts.clip import ClipConfig
from jax_mdpo.models.parts.llama import LlamaConfig
from jax_mdpo.objectives.anchored import Anchored
from jax_mdpo.objectives.conditional import Conditional
from jax_mdpo.objectives.dpo import DPO
from jax_mdpo.training.optimizer import OptimizerSettings, learning_rate, make_optimizer
from jax_mdpo.training.state import TrainState
from jax_mdpo.training.step import Loss, make_step
from jax_mdpo.weights.tables import linear_modules

PAIRS, PREFIX, RESPONSE, VOCABULARY, WIDTH, MLP, LAYERS, RANK, CHUNK = 11, 19, 29, 1009, 37, 41, 3, 5, 7
HALF = PAIRS * RESPONSE * VOCABULARY / 2  # half of the logits of one response per pair: the smallest full set that could arise
CONFIG = LlavaConfig(
    vision=ClipConfig(width=22, mlp=23, layers=2, heads=2, image=22, patch=11),
    text=LlamaConfig(
        width=WIDTH, mlp=MLP, layers=LAYERS, heads=2, kv_heads=1, head_size=26, vocabulary=VOCABULARY, wavelengths=(0.1,) * 13
    ),
    depths=(1,),
    keep_class=False,
    projector_activation="gelu",
    projector_bias=True,
    tied_head=False,
    pixel_scale=1.0,
    pixel_mean=(0.0, 0.0, 0.0),
    pixel_std=(1.0, 1.0, 1.0),
)
BASE_KERNELS = {(WIDTH, 52), (26, WIDTH), (WIDTH, MLP), (WIDTH, VOCABULARY)}  # smaller size first: a gradient may be transposed
KEY = jnp.zeros(2, jnp.uint32)


@pytest.fixture(scope="module")
def program():
    model = family.build(CONFIG, rngs=nnx.Rngs(0), execution=Execution(remat="full"))
    modules = linear_modules(family.table(CONFIG))
    targets = resolve_targets(LoRASettings(r=RANK, target_modules=family.LORA_TARGETS), list(modules))
    graph, base = nnx.split(model)
    attach(model, modules, targets, initial(linear_shapes(model, modules), targets, np.random.default_rng(0)))
    parts = split(model)
    empty = split(nnx.merge(graph, base))
    actors = Actors(parts.graph, parts.graph, graph, True, jax.tree.structure(parts.lora), "cpu")
    return actors, Frozen(base, parts.constants, empty.lora, empty.constants), nnx.to_pure_dict(parts.lora)


def batch() -> Batch:
    def of(length: int, kind: type) -> jax.Array:
        return jnp.ones((PAIRS, length), kind)

    branch = Branch(*(of(RESPONSE, int) for _ in range(4)), of(RESPONSE, bool))
    images = {name: jnp.zeros((PAIRS, 1, 22, 22, 3), jnp.uint8) for name in ("clean", "negative")}
    prefix = Prefix(of(PREFIX, int), of(PREFIX, int), of(PREFIX, int))
    return Batch(images, prefix, {"chosen": branch, "rejected": branch}, jnp.ones((PAIRS, 1), bool))


def step_of(program, chunk):
    actors, frozen, lora = program
    settings = OptimizerSettings()
    optimizer = make_optimizer(settings, 10)
    loss = Loss(actors, (DPO(), Conditional(), Anchored()), chunk)
    step = make_step(loss, optimizer, learning_rate(settings, 10), accumulation=1, dropout=False)
    return step, (frozen, TrainState(jnp.int32(0), lora, optimizer.init(lora), KEY), batch())


def shapes_in(text: str) -> Iterator[tuple[str, tuple[int, ...]]]:
    """(instruction, shape) of every array in an optimised program, bodies of loops and fusions included."""
    for line in text.splitlines():
        head, equals, rest = line.partition(" = ")
        operation = re.search(r"([a-z][a-z\-]*)\(", rest)
        for shape in re.findall(r"[a-z]+\d*\[([\d,]+)\]", line if not equals else rest):
            yield (operation.group(1) if operation else head), tuple(int(size) for size in shape.split(","))


def largest(text: str) -> int:
    return max(prod(shape) for _, shape in shapes_in(text))


def results(jaxpr: jax.extend.core.Jaxpr) -> list[tuple[int, ...]]:
    """Result shapes of all matrix products."""
    return [equation.outvars[0].aval.shape for equation in products(jaxpr)]


def weight_gradients(function, *arguments) -> set[tuple[int, ...]]:
    """Base kernels' shapes among the products of `function`."""
    return {tuple(sorted(shape[-2:])) for shape in results(jax.make_jaxpr(function)(*arguments).jaxpr)} & BASE_KERNELS


def test_logits_of_all_positions_never_exist(program):
    step, arguments = step_of(program, CHUNK)
    assert CHUNK <= RESPONSE / 4
    assert largest(step.lower(*arguments).compile().as_text()) < HALF


def test_the_check_would_see_them(program):
    actors, frozen, lora = program
    loss = Loss(actors, (DPO(),), chunk=2 * RESPONSE)
    text = jax.jit(lambda *a: loss(*a)[0]).lower(lora, frozen, batch(), jnp.float32(PAIRS)).compile().as_text()
    assert largest(text) >= HALF


def test_each_distinct_image_goes_through_the_tower_once(program):
    """Two variants a pair, in one pass that serves policy and reference, forwards and backwards: the tower is frozen."""
    step, arguments = step_of(program, CHUNK)
    patches, tower_width = 4, 22
    embedded = [shape for shape in results(step.trace(*arguments).jaxpr.jaxpr) if shape[-2:] == (patches, tower_width)]
    assert embedded == [(2 * PAIRS, patches, tower_width)]


def test_no_base_weight_has_a_gradient(program):
    step, arguments = step_of(program, CHUNK)
    assert weight_gradients(step, *arguments) == set()
    state, _ = jax.eval_shape(step, *arguments)
    assert jax.tree.structure(state.lora) == jax.tree.structure(arguments[1].lora)
    assert all(RANK in leaf.shape for leaf in jax.tree.leaves(state.lora))


def test_the_check_would_see_one(program):
    actors, frozen, lora = program
    loss = Loss(actors, (DPO(),), CHUNK)
    head = dict(nnx.to_flat_state(frozen.base))["lm_head", "kernel"]  # read_tokens refuses to differentiate a frozen one

    def of_base(base):
        frozen_head = [(path, head if path[0] == "lm_head" else leaf) for path, leaf in nnx.to_flat_state(base)]
        return loss(lora, frozen._replace(base=nnx.from_flat_state(frozen_head)), batch(), jnp.float32(PAIRS))[0]

    assert weight_gradients(jax.grad(of_base), frozen.base) == BASE_KERNELS - {(WIDTH, VOCABULARY)}
