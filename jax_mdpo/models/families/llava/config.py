"""A LLaVA checkpoint's configuration in this project's terms.

Read through transformers' own configuration classes, so that both spellings of every field (rope_theta and rope_parameters,
torch_dtype and dtype, image_token_index and image_token_id) and all defaults are theirs.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jax_mdpo.core.errors import WeightsError
from jax_mdpo.layers.rope import frequencies
from jax_mdpo.models.parts.clip import ClipConfig
from jax_mdpo.models.parts.llama import LlamaConfig


@dataclass(frozen=True)
class LlavaConfig:
    """depths: after how many tower blocks features are taken; several are joined along the width.

    keep_class: whether the class position stands among the features. pixel_*: (raw · scale − mean) / std of framed pixels.
    """

    vision: ClipConfig
    text: LlamaConfig
    depths: tuple[int, ...]
    keep_class: bool
    projector_activation: str
    projector_bias: bool
    tied_head: bool
    pixel_scale: float
    pixel_mean: tuple[float, float, float]
    pixel_std: tuple[float, float, float]


def read_config(folder: Path, *, pixel_scale: float, pixel_mean: Any, pixel_std: Any) -> LlavaConfig:
    """The configuration of the checkpoint in `folder`. Raises WeightsError for a tower, decoder or option that is not LLaVA-1.5's."""
    from transformers import AutoConfig

    stored = AutoConfig.from_pretrained(folder, trust_remote_code=False)
    vision, text = stored.vision_config, stored.text_config
    _expect("vision_config.model_type", vision.model_type, "clip_vision_model")
    _expect("text_config.model_type", text.model_type, "llama")
    layers = stored.vision_feature_layer
    depths = tuple(_depth(layer, vision.num_hidden_layers) for layer in ([layers] if isinstance(layers, int) else layers))
    return LlavaConfig(
        vision=ClipConfig(
            width=vision.hidden_size,
            mlp=vision.intermediate_size,
            layers=vision.num_hidden_layers,
            heads=vision.num_attention_heads,
            image=vision.image_size,
            patch=vision.patch_size,
            activation=vision.hidden_act,
            eps=vision.layer_norm_eps,
        ),
        text=_text(text),
        depths=depths,
        keep_class=stored.vision_feature_select_strategy == "full",
        projector_activation=stored.projector_hidden_act,
        projector_bias=stored.multimodal_projector_bias,
        tied_head=bool(stored.tie_word_embeddings),
        pixel_scale=pixel_scale,
        pixel_mean=tuple(pixel_mean),
        pixel_std=tuple(pixel_std),
    )


def _text(text: Any) -> LlamaConfig:
    head_size = getattr(text, "head_dim", None) or text.hidden_size // text.num_attention_heads
    return LlamaConfig(
        width=text.hidden_size,
        mlp=text.intermediate_size,
        layers=text.num_hidden_layers,
        heads=text.num_attention_heads,
        kv_heads=text.num_key_value_heads,
        head_size=head_size,
        vocabulary=text.vocab_size,
        wavelengths=frequencies(head_size, text.rope_parameters),
        activation=text.hidden_act,
        eps=text.rms_norm_eps,
        attention_bias=text.attention_bias,
        mlp_bias=text.mlp_bias,
    )


def _depth(layer: int, layers: int) -> int:
    # transformers counts hidden states: index 0 is the input of the first block, -1 the output of the last
    depth = layer if layer >= 0 else layers + 1 + layer
    if not 0 <= depth <= layers:
        raise WeightsError(f"vision_feature_layer is {layer}, but the tower has {layers} layers")
    return depth


def _expect(name: str, got: str, expected: str) -> None:
    if got != expected:
        raise WeightsError(f"this LLaVA checkpoint has parts that are not LLaVA-1.5's: {name}", expected=expected, got=got)
