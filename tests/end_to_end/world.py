"""A tiny LLaVA checkpoint without torch, JPEG pairs, and the configuration of an mDPO run over them."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from PIL import Image
from tiny_processor import write_tiny_processor

from jax_mdpo.models.families.llava.scratch import write_scratch

IMAGE_TOKEN = 98  # the last of the tiny tokenizer's 99 ids
PROMPT = "USER: <image>\nwhat is in the picture ? ASSISTANT:"
SHORT = [("a red cat .", "a green dog ."), ("no one .", "a bird ."), ("two birds .", "one dog .")]
LONG = [
    ("two small birds on a red table and a green dog in the picture .", "no one is here in the picture , no cat and no dog and no birds ."),
    ("there is a blue dog on the table and there are two cats on a green table .", "a cat is there and a red bird is there on a table ."),
]


def write_checkpoint(folder: Path) -> Path:
    """A float32 LLaVA of two decoder blocks with grouped queries, 28-pixel images and 16 image features; returns `folder`."""
    folder.mkdir(parents=True)
    write_tiny_processor(folder)
    (folder / "config.json").write_text(json.dumps(CONFIG), encoding="utf-8")
    write_scratch(folder, seed=0)
    return folder


def write_pairs(folder: Path, count: int, *, side: int = 60) -> Path:
    """pairs.jsonl with `count` pairs, every third one with long answers, and their images, `side` pixels wide; returns the file."""
    folder.mkdir(parents=True)
    rng = np.random.default_rng(0)
    rows = []
    for i in range(count):
        chosen, rejected = LONG[i % len(LONG)] if i % 3 == 2 else SHORT[i % len(SHORT)]
        pixels = rng.integers(0, 256, (8, 8, 3), dtype=np.uint8)
        Image.fromarray(pixels).resize((side, side - 7)).save(folder / f"{i}.jpg", quality=90)
        rows.append({"id": f"pair-{i}", "image": f"{i}.jpg", "prompt": PROMPT, "chosen": chosen, "rejected": rejected})
    path = folder / "pairs.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def write_config(path: Path, model: Path, pairs: Path, /, **changes: Any) -> Path:
    """mDPO with crops, two length buckets, accumulation and dropout, as a YAML file; `changes` replace top-level keys."""
    values = {
        "model": {"path": str(model)},
        "data": {"path": str(pairs), "buckets": 2, "length_multiple": 8, "workers": 2},
        "out": str(path.parent / "run"),
        "objectives": [{"name": "dpo"}, {"name": "conditional"}, {"name": "anchored"}],
        "hard_negative": {"name": "crop"},
        "lora": {"r": 4, "lora_alpha": 8, "lora_dropout": 0.1},
        "batch": {"pairs": 4, "accumulation": 2, "logits_chunk": 8},
        "optimizer": {"learning_rate": 1e-2, "warmup_ratio": 0.1},
        "epochs": 1,
        "checkpoint": {"every": 3},
        "logging": {"console_every": 1000},
    }
    path.write_text(yaml.safe_dump({**values, **changes}), encoding="utf-8")
    return path


CONFIG = {
    "architectures": ["LlavaForConditionalGeneration"],
    "model_type": "llava",
    "dtype": "float32",
    "image_token_index": IMAGE_TOKEN,
    "image_seq_length": 16,
    "projector_hidden_act": "gelu",
    "vision_feature_layer": -2,
    "vision_feature_select_strategy": "default",
    "tie_word_embeddings": False,
    "vision_config": {
        "model_type": "clip_vision_model",
        "image_size": 28,
        "patch_size": 7,
        "hidden_size": 24,
        "intermediate_size": 40,
        "num_hidden_layers": 3,
        "num_attention_heads": 3,
        "projection_dim": 20,
    },
    "text_config": {
        "model_type": "llama",
        "vocab_size": IMAGE_TOKEN + 1,
        "hidden_size": 32,
        "intermediate_size": 48,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "max_position_embeddings": 256,
    },
}
