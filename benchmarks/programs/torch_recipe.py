"""mDPO's published recipe written plainly in torch, on transformers' LLaVA with PEFT's LoRA.

Policy and reference (the adapter switched off, no gradient) each read three sequences a pair: the chosen and the rejected answer with
the true image, the chosen one with the negative; the vision tower runs for each. Loss as in Wang et al. 2024 (arXiv 2406.11839):
three times −log σ, of the answers' margin, of the images' margin, and of the chosen answer's reward; β = 0.1, δ = 0.

Reads: folder, dtype, batches, steps, warm_up, checks, style:
  "shipped"   gradient checkpointing of every block, answers in one forward and the negative in another, logits of every position
  "strongest" one forward over the three sequences, logits of response positions, nothing computed twice
  "strongest, checkpointed"  the same with checkpointing, which allows larger batches
All use torch's scaled_dot_product_attention, and autocast where the weights are bfloat16, as transformers' trainer does.

checks: lists of pairs (by place) for which the loss and its gradient's norm are computed before anything is trained.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from peft import PeftModel
from transformers import LlavaForConditionalGeneration

from benchmarks.harness.protocol import process_peak, reset_process_peak, serve, time_steps, try_batches, versions

BETA = 0.1
VIEWS = (("clean", "chosen"), ("clean", "rejected"), ("negative", "chosen"))


@dataclass(frozen=True)
class Style:
    """checkpointing: of every block. forwards: the views, by number, that each forward pass takes. every_logit: or the response's."""

    checkpointing: bool
    forwards: tuple[tuple[int, ...], ...]
    every_logit: bool


STYLES = {
    "shipped": Style(checkpointing=True, forwards=((0, 1), (2,)), every_logit=True),
    "strongest": Style(checkpointing=False, forwards=((0, 1, 2),), every_logit=False),
    "strongest, checkpointed": Style(checkpointing=True, forwards=((0, 1, 2),), every_logit=False),
}


class Data:
    """The pairs on the device: ids as the model reads them, pixels normalised."""

    def __init__(self, path: Path, device: torch.device, dtype: torch.dtype):
        with np.load(path) as arrays:
            tensors = {name: torch.from_numpy(arrays[name]) for name in arrays.files}
        mean, std = tensors["mean"].float(), tensors["std"].float()
        self.ids = {name: torch.cat([tensors["prefix"], tensors[name]], dim=1).to(device) for name in ("chosen", "rejected")}
        self.pixels = {
            name: ((tensors[name].float() * tensors["scale"].float() - mean) / std).permute(0, 3, 1, 2).to(device, dtype)
            for name in ("clean", "negative")
        }
        self.response = tensors["chosen"].shape[1]

    def __len__(self) -> int:
        return len(self.ids["chosen"])


class Recipe:
    """The model, its optimiser and the loss."""

    def __init__(self, folder: Path, dtype: torch.dtype, style: Style):
        self.device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        self.style, self.dtype = style, dtype
        base = LlavaForConditionalGeneration.from_pretrained(folder / "model", dtype=dtype, attn_implementation="sdpa").to(self.device)
        self.weight_bytes = sum(p.nbytes for p in base.parameters())
        if style.checkpointing:
            base.gradient_checkpointing_enable({"use_reentrant": False})
        self.model = PeftModel.from_pretrained(base, folder / "adapter", is_trainable=True).train()
        self.trained = [p for p in self.model.parameters() if p.requires_grad]
        self.data = Data(folder / "tensors.npz", self.device, dtype)
        fused = self.device.type == "cuda"
        self.optimizer = torch.optim.AdamW(self.trained, lr=1e-5, betas=(0.9, 0.98), eps=1e-8, weight_decay=0.05, fused=fused)

    def step(self, places: Sequence[int]) -> float:
        """One optimiser step; its loss, fetched, so that the step is done."""
        loss, _ = self.loss(places)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.trained, 1.0)
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        return loss.item()

    def check(self, places: Sequence[int]) -> dict[str, Any]:
        """Loss, log-probabilities and gradient norm of these pairs, a pair at a time, nothing trained."""
        total: dict[str, float] = {"loss": 0.0, "chosen": 0.0, "rejected": 0.0}
        for place in places:
            loss, logps = self.loss([place])
            (loss / len(places)).backward()
            for name, value in zip(total, (loss, logps[0], logps[1]), strict=True):
                total[name] += value.item() / len(places)
        norm = torch.nn.utils.get_total_norm([p.grad for p in self.trained if p.grad is not None])
        self.optimizer.zero_grad(set_to_none=True)
        return {"ids": list(places), **total, "gradient": norm.item()}

    def loss(self, places: Sequence[int]) -> tuple[torch.Tensor, tuple[torch.Tensor, ...]]:
        """The mean over pairs, and the policy's log-probabilities by view."""
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.dtype == torch.bfloat16):
            policy = self.logps(places)
            with torch.no_grad(), self.model.disable_adapter():
                reference = self.logps(places)
        chosen, rejected, negative = (BETA * (ours - base) for ours, base in zip(policy, reference, strict=True))
        losses = -F.logsigmoid(chosen - rejected) - F.logsigmoid(chosen - negative) - F.logsigmoid(chosen)
        return losses.mean(), policy

    def logps(self, places: Sequence[int]) -> tuple[torch.Tensor, ...]:
        """Summed over the response, one value a pair, by view."""
        return tuple(part for views in self.style.forwards for part in self._forward(places, views).chunk(len(views)))

    def _forward(self, places: Sequence[int], views: Sequence[int]) -> torch.Tensor:
        rows = torch.as_tensor(places, device=self.device)
        ids = torch.cat([self.data.ids[VIEWS[view][1]][rows] for view in views])
        pixels = torch.cat([self.data.pixels[VIEWS[view][0]][rows] for view in views])
        kept = 0 if self.style.every_logit else self.data.response + 1
        logits = self.model(input_ids=ids, pixel_values=pixels, use_cache=False, logits_to_keep=kept).logits[:, :-1].float()
        targets = ids[:, -logits.shape[1] :]
        logps = logits.gather(2, targets[..., None])[..., 0] - logits.logsumexp(-1)
        return logps[:, -self.data.response :].sum(1)


def measure(recipe: Recipe, spec: Mapping[str, Any], pairs: int) -> dict[str, Any]:
    batches = [[(start + i) % len(recipe.data) for i in range(pairs)] for start in range(0, len(recipe.data), pairs)]
    number = 0

    def step() -> None:
        nonlocal number
        recipe.step(batches[number % len(batches)])
        number += 1

    time_steps(step, spec["warm_up"])
    _reset_peak()
    return {
        "seconds": time_steps(step, spec["steps"]),
        "peak_bytes": _peak(),
        "trained_parameters": sum(p.numel() for p in recipe.trained),
        "weight_bytes": recipe.weight_bytes,
    }


def _reset_peak() -> None:
    reset_process_peak()
    if torch.cuda.is_available():
        torch.cuda.reset_peak_memory_stats()


def _peak() -> int:
    return torch.cuda.max_memory_allocated() if torch.cuda.is_available() else process_peak()


def main(spec: dict[str, Any]) -> dict[str, Any]:
    recipe = Recipe(Path(spec["folder"]), getattr(torch, spec["dtype"]), STYLES[spec["style"]])
    return {
        "device": torch.cuda.get_device_name() if torch.cuda.is_available() else "cpu",
        "versions": versions("torch", "transformers", "peft"),
        "checks": [recipe.check(places) for places in spec["checks"]],
        "runs": try_batches(spec["batches"], lambda pairs: measure(recipe, spec, pairs), lambda e: isinstance(e, torch.OutOfMemoryError)),
    }


if __name__ == "__main__":
    serve(main)
