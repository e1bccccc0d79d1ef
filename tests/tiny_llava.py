"""Tiny random LLaVA checkpoints made by transformers, in each of the key layouts that real checkpoints come in."""

import json
import re
from pathlib import Path
from typing import Literal

import needs_torch  # noqa: F401
import torch
from huggingface_hub import split_torch_state_dict_into_shards
from safetensors.torch import save_file
from transformers import CLIPVisionConfig, LlamaConfig, LlavaConfig, LlavaForConditionalGeneration

from jax_mdpo.weights.files import INDEX_FILE

Layout = Literal["hub", "hub_vision", "model"]
IMAGE_TOKEN = 98  # the last id of the vocabulary
DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}


def tiny_config(
    *,
    num_key_value_heads: int = 2,
    num_layers: int = 2,
    vision_feature_layer: int = -2,
    select_strategy: str = "default",
    tie: bool = False,
    vocab_size: int = 99,
    image_token: int = IMAGE_TOKEN,
    **fields,
) -> LlavaConfig:
    """Widths, MLP widths, vocabulary and head counts all differ, so that swapped weights do not fit. 28-pixel images, 4 × 4 patches."""
    vision = CLIPVisionConfig(
        hidden_size=24,
        intermediate_size=40,
        num_hidden_layers=3,
        num_attention_heads=3,
        image_size=28,
        patch_size=7,
        projection_dim=20,
    )
    text = LlamaConfig(
        vocab_size=vocab_size,
        hidden_size=32,
        intermediate_size=48,
        num_hidden_layers=num_layers,
        num_attention_heads=4,
        num_key_value_heads=num_key_value_heads,
        max_position_embeddings=256,
        tie_word_embeddings=tie,
    )
    return LlavaConfig(
        vision_config=vision,
        text_config=text,
        image_token_index=image_token,
        vision_feature_layer=vision_feature_layer,
        vision_feature_select_strategy=select_strategy,
        image_seq_length=16 if select_strategy == "default" else 17,
        tie_word_embeddings=tie,
        **fields,
    )


def tiny_llava(*, seed: int = 0, dtype: str = "float32", scale: float = 0.3, **fields) -> LlavaForConditionalGeneration:
    """A torch model with weights large enough that every one of them matters to the logits. `fields` go to `tiny_config`."""
    torch.manual_seed(seed)
    model = LlavaForConditionalGeneration(tiny_config(**fields))
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            norm = "norm" in name and name.endswith("weight")
            parameter.copy_(1 + 0.1 * torch.randn_like(parameter) if norm else scale * torch.randn_like(parameter))
    model.tie_weights()
    return model.to(DTYPES[dtype]).eval()


def write_tiny_llava(
    folder: Path,
    *,
    layout: Layout = "model",
    seed: int = 0,
    dtype: str = "float32",
    sharded: bool = False,
    **fields,
) -> Path:
    """Writes config.json and the weights; returns `folder`. sharded: several files and an index. `fields` go to `tiny_llava`.

    hub: language_model.model.*, language_model.lm_head, vision_tower.vision_model.*, as llava-hf's repositories were written;
    hub_vision: the same with vision_tower.*; model: model.language_model.*, model.vision_tower.*, lm_head.
    """
    model = tiny_llava(seed=seed, dtype=dtype, **fields)
    tensors = {stored_key(name, layout): tensor for name, tensor in model.state_dict().items()}
    if model.config.tie_word_embeddings:
        tensors.pop(stored_key("lm_head.weight", layout))
    folder.mkdir(parents=True, exist_ok=True)
    model.config.architectures = [type(model).__name__]
    model.config.save_pretrained(folder)
    _write(folder, tensors, sharded=sharded)
    return folder


def stored_key(name: str, layout: Layout) -> str:
    """The key under which `layout` stores the tensor that transformers calls `name`."""
    name = name.replace("model.vision_tower.vision_model.", "model.vision_tower.")
    if layout == "model":
        return name
    tower = "vision_tower.vision_model." if layout == "hub" else "vision_tower."
    name = re.sub(r"^model\.vision_tower\.", tower, name)
    name = re.sub(r"^model\.language_model\.", "language_model.model.", name)
    name = re.sub(r"^model\.multi_modal_projector\.", "multi_modal_projector.", name)
    return re.sub(r"^lm_head\.", "language_model.lm_head.", name)


def _write(folder: Path, tensors: dict[str, torch.Tensor], *, sharded: bool) -> None:
    tensors = {key: tensor.contiguous() for key, tensor in tensors.items()}
    size = sum(tensor.nbytes for tensor in tensors.values())
    split = split_torch_state_dict_into_shards(tensors, max_shard_size=size // 3 if sharded else size)
    for file, keys in split.filename_to_tensors.items():
        save_file({key: tensors[key] for key in keys}, folder / file, metadata={"format": "pt"})
    if sharded:
        index = {"metadata": split.metadata, "weight_map": split.tensor_to_filename}
        (folder / INDEX_FILE).write_text(json.dumps(index, indent=2, sort_keys=True) + "\n")
