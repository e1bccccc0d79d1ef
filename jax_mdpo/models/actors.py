"""The policy and the reference over one base: one copy of the weights, two graphs."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import NamedTuple, ParamSpec, TypeVar, cast

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from jax_mdpo.core.views import Model
from jax_mdpo.lora.attach import Split, attach, factors_of, split, touches, with_dropout_keys, without_dropout
from jax_mdpo.lora.peft_files import Factors
from jax_mdpo.lora.targets import Target
from jax_mdpo.models.checkpoint import Checkpoint
from jax_mdpo.models.protocol import VisionLanguageModel
from jax_mdpo.sharding.compiling import COMPILER_OPTIONS
from jax_mdpo.sharding.logical import sharding

P = ParamSpec("P")
T = TypeVar("T")


@dataclass(frozen=True)
class AdapterWeights:
    """An adapter by Hugging Face module names: rank and scaling, factors, and the dropout it trains with."""

    targets: Mapping[str, Target]
    factors: Factors
    dropout: float = 0.0


class Frozen(NamedTuple):
    """Arrays that no step changes. They are arguments of the compiled step, so that they are neither copied nor baked in."""

    base: nnx.State
    constants: nnx.State
    reference_lora: nnx.State
    reference_constants: nnx.State


@dataclass(frozen=True)
class Actors:
    """Two models by their graphs. `still` is the policy without dropout.

    shared_tower: neither adapter touches the way from pixels to features, so the tower runs once for both. platform: that they run on.
    """

    policy: nnx.GraphDef
    still: nnx.GraphDef
    reference: nnx.GraphDef
    shared_tower: bool
    structure: jax.tree_util.PyTreeDef
    platform: str

    def compiled(self, function: Callable[P, T], *, donate: int | None = None) -> Callable[P, T]:
        """jax.jit of a function of these actors, with what their platform's compiler is to be told. donate: an argument to reuse."""
        options = COMPILER_OPTIONS.get(self.platform)
        return jax.jit(function, donate_argnums=() if donate is None else donate, compiler_options=dict(options) if options else None)

    def select(self, frozen: Frozen, lora: dict, *, key: jax.Array | None = None) -> Callable[[Model, bool], VisionLanguageModel]:
        """The module for (model, with a gradient). lora: the policy's factors. key: of the dropout; none means no dropout."""

        def module(model: Model, gradient: bool) -> VisionLanguageModel:
            if model == "reference":
                parts = (self.reference, frozen.reference_lora, frozen.reference_constants)
            else:
                factors = self.as_state(lora if gradient else jax.lax.stop_gradient(lora))
                dropping = key is not None and gradient
                constants = with_dropout_keys(frozen.constants, key) if dropping else frozen.constants
                parts = (self.policy if dropping else self.still, factors, constants)
            graph, *states = parts
            return cast(VisionLanguageModel, nnx.merge(graph, *states, frozen.base))

        return module

    def as_state(self, lora: dict) -> nnx.State:
        """The policy's factors, a nested dictionary outside, as the state that its graph expects."""
        return jax.tree.unflatten(self.structure, jax.tree.leaves(lora))


def make_actors(
    checkpoint: Checkpoint, policy: AdapterWeights | None = None, reference: AdapterWeights | None = None
) -> tuple[Actors, Frozen, dict]:
    """The actors, their frozen arrays and the policy's trainable factors, all on the checkpoint's mesh. None: the base alone."""
    ours, still = _split(checkpoint, policy)
    theirs, _ = _split(checkpoint, reference)
    named = [name for adapter in (policy, reference) if adapter for name in adapter.targets]
    shared = not touches(named, checkpoint.modules, checkpoint.family.VISION)
    actors = Actors(ours.graph, still, theirs.graph, shared, jax.tree.structure(ours.lora), checkpoint.mesh.devices.flat[0].platform)
    frozen = Frozen(checkpoint.base, ours.constants, theirs.lora, theirs.constants)
    return actors, frozen, nnx.to_pure_dict(ours.lora)


def _split(checkpoint: Checkpoint, adapter: AdapterWeights | None) -> tuple[Split, nnx.GraphDef]:
    model = checkpoint.model()
    if adapter is not None:
        attach(model, checkpoint.modules, adapter.targets, adapter.factors, dropout=adapter.dropout)
    parts = split(model)
    without_dropout(model)
    placed = parts._replace(lora=_place(parts.lora, checkpoint), constants=_place(parts.constants, checkpoint))
    return placed, nnx.graphdef(model)


def _place(state: nnx.State, checkpoint: Checkpoint) -> nnx.State:
    flat = [
        (path, leaf.replace(jax.device_put(leaf[...], sharding(checkpoint.mesh, leaf.axes, leaf.shape))))
        for path, leaf in nnx.to_flat_state(state)
    ]
    return nnx.from_flat_state(flat)


def trained(actors: Actors, checkpoint: Checkpoint, lora: dict, policy: AdapterWeights) -> AdapterWeights:
    """The policy's adapter with the factors that training has reached."""
    factors = factors_of(actors.as_state(jax.tree.map(jnp.asarray, lora)), checkpoint.modules, policy.targets)
    return AdapterWeights(policy.targets, {name: (np.asarray(a), np.asarray(b)) for name, (a, b) in factors.items()}, policy.dropout)
