"""The folder of the world's tiny LLaVA in transformers' layout: everything but its weights."""

import json
from pathlib import Path
from typing import Any

from jax_mdpo.core.config import config
from jax_mdpo.core.files import write_text
from jax_mdpo.scenes.tokenizer import IMAGE, SPECIAL, make_tokenizer

# "USER:<image>\nquestion ASSISTANT: answer</s>": LLaVA-1.5's conversation, a space left out to save a token
CHAT_TEMPLATE = """\
{%- for message in messages -%}
  {%- if message.role == 'assistant' %} {% endif -%}
  {{- message.role | upper }}:
  {%- for part in message.content if part.type == 'image' %}{{ '<image>\\n' }}{% endfor -%}
  {%- for part in message.content if part.type == 'text' -%}
    {{- '' if loop.first and message.content | selectattr('type', 'equalto', 'image') | list else ' ' }}{{ part.text -}}
  {%- endfor -%}
  {%- if message.role == 'assistant' %}{{ eos_token }}{% endif -%}
{%- endfor -%}
{%- if add_generation_prompt %} ASSISTANT:{% endif -%}
"""


@config
class Sizes:
    """The tiny LLaVA's sizes: of its CLIP tower and of its LLaMA decoder.

    image: pixels, width and height, to which pictures are resized. A patch is so many pixels wide and high.
    """

    image: int = 48
    patch: int = 16
    tower_width: int = 96
    tower_layers: int = 2
    width: int = 128
    layers: int = 4
    heads: int = 4

    def __post_init__(self) -> None:
        if self.image % self.patch:
            raise ValueError(f"patch must divide the {self.image} pixels of an image, got {self.patch}")
        for name in ("tower_width", "width"):
            if getattr(self, name) % (2 * self.heads):
                raise ValueError(f"{name} must be a multiple of twice the {self.heads} heads, got {getattr(self, name)}")

    @property
    def patches(self) -> int:
        """Of an image; each becomes an image token."""
        return (self.image // self.patch) ** 2


def write_checkpoint_files(folder: Path, sizes: Sizes, *, dtype: str) -> None:
    """Writes configuration, tokenizer, chat template and image processor files. dtype: of the weights, which are written apart."""
    tokenizer = make_tokenizer()
    vocabulary = tokenizer.get_vocab()
    ids = {f"{name}_id": vocabulary[token] for name, token in SPECIAL.items() if name != "unk_token"}
    files: dict[str, dict[str, Any]] = {
        "config.json": model_config(sizes, len(vocabulary), ids, vocabulary[IMAGE], dtype),
        "generation_config.json": ids,
        "tokenizer_config.json": {
            "tokenizer_class": "PreTrainedTokenizerFast",
            "model_max_length": 512,
            "clean_up_tokenization_spaces": False,
            **SPECIAL,
        },
        "preprocessor_config.json": image_processor(sizes.image),
        "processor_config.json": processor(sizes.patch),
    }
    for name, content in files.items():
        write_text(folder / name, json.dumps(content, indent=2) + "\n")
    write_text(folder / "tokenizer.json", tokenizer.to_str(pretty=True) + "\n")
    write_text(folder / "chat_template.jinja", CHAT_TEMPLATE)


def model_config(sizes: Sizes, vocabulary: int, ids: dict[str, int], image_id: int, dtype: str) -> dict[str, Any]:
    """LlavaConfig's fields. Features are the tower's last ones: nothing of so small a tower is left unused."""
    return {
        "architectures": ["LlavaForConditionalGeneration"],
        "model_type": "llava",
        "dtype": dtype,
        "image_token_index": image_id,
        "image_seq_length": sizes.patches,
        "pad_token_id": ids["pad_token_id"],
        "projector_hidden_act": "gelu",
        "multimodal_projector_bias": True,
        "vision_feature_layer": -1,
        "vision_feature_select_strategy": "default",
        "tie_word_embeddings": False,
        "vision_config": {
            "model_type": "clip_vision_model",
            "image_size": sizes.image,
            "patch_size": sizes.patch,
            "hidden_size": sizes.tower_width,
            "intermediate_size": 4 * sizes.tower_width,
            "num_hidden_layers": sizes.tower_layers,
            "num_attention_heads": sizes.heads,
            "projection_dim": sizes.tower_width,
        },
        "text_config": {
            "model_type": "llama",
            "vocab_size": vocabulary,
            "hidden_size": sizes.width,
            "intermediate_size": 8 * round(sizes.width / 3),
            "num_hidden_layers": sizes.layers,
            "num_attention_heads": sizes.heads,
            "num_key_value_heads": sizes.heads,
            "max_position_embeddings": 512,
            "rms_norm_eps": 1e-5,
            "tie_word_embeddings": False,
            **ids,
        },
    }


def image_processor(side: int) -> dict[str, Any]:
    """CLIPImageProcessor's fields. side: pixels, width and height, of what the tower sees."""
    return {
        "image_processor_type": "CLIPImageProcessor",
        "do_convert_rgb": True,
        "do_resize": True,
        "size": {"shortest_edge": side},
        "resample": 3,  # bicubic
        "do_center_crop": True,
        "crop_size": {"height": side, "width": side},
        "do_rescale": True,
        "rescale_factor": 1 / 255,
        "do_normalize": True,
        "image_mean": [0.5, 0.5, 0.5],
        "image_std": [0.25, 0.25, 0.25],
    }


def processor(patch: int) -> dict[str, Any]:
    """LlavaProcessor's fields. patch: pixels, width and height."""
    return {
        "processor_class": "LlavaProcessor",
        "image_token": IMAGE,
        "patch_size": patch,
        "vision_feature_select_strategy": "default",
        "num_additional_image_tokens": 1,
    }
