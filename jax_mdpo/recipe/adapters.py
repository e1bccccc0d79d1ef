"""Adapters for the policy and the reference: fresh ones from settings, stored ones from PEFT folders."""

from dataclasses import replace
from pathlib import Path

from jax_mdpo.core.seeds import generator
from jax_mdpo.lora.attach import initial, linear_shapes
from jax_mdpo.lora.peft_files import read_adapter
from jax_mdpo.lora.settings import LoRASettings
from jax_mdpo.lora.targets import resolve_targets
from jax_mdpo.models.actors import AdapterWeights
from jax_mdpo.models.checkpoint import Checkpoint
from jax_mdpo.weights.files import CheckpointFiles


def fresh_adapter(settings: LoRASettings, checkpoint: Checkpoint, *, seed: int) -> AdapterWeights:
    """A new adapter: B is zero, so the policy starts as the reference."""
    wanted = settings if settings.target_modules is not None else replace(settings, target_modules=checkpoint.family.LORA_TARGETS)
    targets = resolve_targets(wanted, list(checkpoint.modules))
    shapes = linear_shapes(checkpoint.model(), checkpoint.modules)
    return AdapterWeights(targets, initial(shapes, targets, generator(seed, "lora")), settings.lora_dropout)


def stored_adapter(folder: Path, checkpoint: Checkpoint, *, dropout: float = 0.0) -> AdapterWeights:
    """The PEFT adapter in `folder`: its stored keys decide the modules, its factors the ranks."""
    stored = read_adapter(folder, list(checkpoint.modules), base=CheckpointFiles.open(checkpoint.folder))
    return AdapterWeights(stored.targets, stored.factors, dropout)
