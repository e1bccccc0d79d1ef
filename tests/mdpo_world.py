"""A tiny checkpoint, a random PEFT adapter for it and a few pairs: what parity tests of score and of the step share."""

from dataclasses import dataclass
from pathlib import Path

import torch_peft
from pairs import write_pairs
from peft import LoraConfig, PeftModel
from tiny_llava import tiny_llava, write_tiny_llava
from tiny_processor import write_tiny_processor
from torch_reference import Reader

from jax_mdpo.models.families.llava.family import LORA_TARGETS


@dataclass(frozen=True)
class World:
    """folder: the checkpoint. adapter: a PEFT folder whose B is not zero. policy: the same in torch. records: see pairs.py."""

    folder: Path
    adapter: Path
    policy: PeftModel
    data: Path
    records: list[dict]
    reader: Reader


def make_world(folder: Path, *, pairs: int = 5, scale: float = 0.15, alpha: int = 40) -> World:
    """Writes everything below `folder`. scale: of the base weights; alpha: of the adapter. Both set how far rounding errors grow."""
    checkpoint = write_tiny_processor(write_tiny_llava(folder / "checkpoint", layout="hub", scale=scale))
    config = LoraConfig(r=3, lora_alpha=alpha, target_modules=LORA_TARGETS, rank_pattern={"q_proj": 2, r"layers\.1\.mlp\.up_proj": 5})
    policy = torch_peft.attach(tiny_llava(scale=scale), config, seed=3)
    policy.save_pretrained(folder / "adapter")
    records = write_pairs(folder / "data", pairs)
    return World(checkpoint, folder / "adapter", policy, folder / "data" / "pairs.jsonl", records, Reader(checkpoint))
