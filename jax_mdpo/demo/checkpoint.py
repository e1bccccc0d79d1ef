"""A tiny LLaVA checkpoint folder in Hugging Face's layout, made on the spot: everything but its weights."""

import json
from pathlib import Path
from typing import Any

from jax_mdpo.core.files import write_text
from jax_mdpo.demo.captions import all_texts
from jax_mdpo.demo.tokenizer import IMAGE, SPECIAL, train_tokenizer

IMAGE_SIZE, PATCH_SIZE = 56, 14  # pixels

# "USER: <image>\nquestion ASSISTANT: answer</s>", the conversation format that LLaVA-1.5 was trained on.
CHAT_TEMPLATE = """\
{%- for message in messages -%}
  {%- if message.role == 'assistant' %} {% endif -%}
  {{- message.role | upper }}:
  {%- for part in message.content if part.type == 'image' %}{{ ' <image>\\n' }}{% endfor -%}
  {%- for part in message.content if part.type == 'text' -%}
    {{- '' if loop.first and message.content | selectattr('type', 'equalto', 'image') | list else ' ' }}{{ part.text -}}
  {%- endfor -%}
  {%- if message.role == 'assistant' %}{{ eos_token }}{% endif -%}
{%- endfor -%}
{%- if add_generation_prompt %} ASSISTANT:{% endif -%}
"""


def write_checkpoint_files(folder: Path) -> Path:
    """Writes configuration, tokenizer, chat template and image processor files; returns `folder`. The weights are written apart."""
    tokenizer = train_tokenizer(all_texts())
    vocabulary = tokenizer.get_vocab()
    ids = {name: vocabulary[token] for name, token in SPECIAL.items()}
    files: dict[str, dict[str, Any]] = {
        "config.json": model_config(len(vocabulary), ids, vocabulary[IMAGE]),
        "generation_config.json": {"bos_token_id": ids["bos_token"], "eos_token_id": ids["eos_token"], "pad_token_id": ids["pad_token"]},
        "tokenizer_config.json": {
            "tokenizer_class": "PreTrainedTokenizerFast",
            "model_max_length": 2048,
            "clean_up_tokenization_spaces": False,
            **SPECIAL,
        },
        "preprocessor_config.json": IMAGE_PROCESSOR,
        "processor_config.json": PROCESSOR,
    }
    for name, content in files.items():
        write_text(folder / name, json.dumps(content, indent=2) + "\n")
    write_text(folder / "tokenizer.json", tokenizer.to_str(pretty=True) + "\n")
    write_text(folder / "chat_template.jinja", CHAT_TEMPLATE)
    return folder


def model_config(vocabulary: int, ids: dict[str, int], image_id: int) -> dict[str, Any]:
    """LlavaConfig's fields for about a million parameters, all architecture details as in LLaVA-1.5 except for grouped queries."""
    return {
        "architectures": ["LlavaForConditionalGeneration"],
        "model_type": "llava",
        "dtype": "float32",
        "image_token_index": image_id,
        "image_seq_length": (IMAGE_SIZE // PATCH_SIZE) ** 2,
        "pad_token_id": ids["pad_token"],
        "projector_hidden_act": "gelu",
        "multimodal_projector_bias": True,
        "vision_feature_layer": -2,
        "vision_feature_select_strategy": "default",
        "tie_word_embeddings": False,
        "vision_config": {
            "model_type": "clip_vision_model",
            "image_size": IMAGE_SIZE,
            "patch_size": PATCH_SIZE,
            "hidden_size": 64,
            "intermediate_size": 256,
            "num_hidden_layers": 3,
            "num_attention_heads": 4,
            "projection_dim": 64,
        },
        "text_config": {
            "model_type": "llama",
            "vocab_size": vocabulary,
            "hidden_size": 128,
            "intermediate_size": 344,
            "num_hidden_layers": 3,
            "num_attention_heads": 4,
            "num_key_value_heads": 2,
            "max_position_embeddings": 2048,
            "rms_norm_eps": 1e-5,
            "bos_token_id": ids["bos_token"],
            "eos_token_id": ids["eos_token"],
            "pad_token_id": ids["pad_token"],
            "tie_word_embeddings": False,
        },
    }


IMAGE_PROCESSOR = {
    "image_processor_type": "CLIPImageProcessor",
    "do_convert_rgb": True,
    "do_resize": True,
    "size": {"shortest_edge": IMAGE_SIZE},
    "resample": 3,  # bicubic
    "do_center_crop": True,
    "crop_size": {"height": IMAGE_SIZE, "width": IMAGE_SIZE},
    "do_rescale": True,
    "rescale_factor": 1 / 255,
    "do_normalize": True,
    "image_mean": [0.48145466, 0.4578275, 0.40821073],  # CLIP's
    "image_std": [0.26862954, 0.26130258, 0.27577711],
}

PROCESSOR = {
    "processor_class": "LlavaProcessor",
    "image_token": IMAGE,
    "patch_size": PATCH_SIZE,
    "vision_feature_select_strategy": "default",
    "num_additional_image_tokens": 1,
}
