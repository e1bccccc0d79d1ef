"""PEFT on torch models, as the reference that adapters are compared with."""

import copy
import warnings
from contextlib import contextmanager
from pathlib import Path

import needs_torch  # noqa: F401
import torch
from peft import LoraConfig, PeftModel, get_peft_model
from peft.tuners.lora import LoraLayer

from jax_mdpo.lora.targets import Target

_PREFIX = "base_model.model."


@contextmanager
def _peft_warnings():
    """PEFT 0.21 still reads an attribute that transformers 5 has deprecated; every other warning stays an error."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "`is_gradient_checkpointing` is deprecated", FutureWarning)
        yield


def attach(model: torch.nn.Module, config: LoraConfig, *, seed: int | None = None) -> PeftModel:
    """A copy of `model` with fresh adapters; with a seed both factors are random, so that the adapter changes the model."""
    with _peft_warnings():
        adapted = get_peft_model(copy.deepcopy(model), config).eval()
    if seed is not None:
        torch.manual_seed(seed)
        for name, parameter in adapted.named_parameters():
            if "lora_" in name:
                parameter.data = 0.1 * torch.randn_like(parameter)
    return adapted


def load(model: torch.nn.Module, folder: Path) -> PeftModel:
    """A copy of `model` with the adapter of `folder`. Missing or unexpected keys are warnings of PEFT, and so errors in a test."""
    with _peft_warnings():
        return PeftModel.from_pretrained(copy.deepcopy(model), folder).eval()


def merged(adapted: PeftModel) -> torch.nn.Module:
    """PEFT's own merge, on a copy."""
    with _peft_warnings():
        return copy.deepcopy(adapted).merge_and_unload()


def targets(adapted: PeftModel) -> dict[str, Target]:
    """The modules that PEFT adapted, with rank, alpha and scaling."""
    layers = {name.removeprefix(_PREFIX): module for name, module in adapted.named_modules() if isinstance(module, LoraLayer)}
    return {name: Target(m.r["default"], m.lora_alpha["default"], m.scaling["default"]) for name, m in layers.items()}


def factors(adapted: PeftModel) -> dict[str, tuple[torch.Tensor, torch.Tensor]]:
    """A [r, in] and B [out, r] by module name."""
    layers = {name.removeprefix(_PREFIX): module for name, module in adapted.named_modules() if isinstance(module, LoraLayer)}
    return {name: (m.lora_A["default"].weight.detach(), m.lora_B["default"].weight.detach()) for name, m in layers.items()}
