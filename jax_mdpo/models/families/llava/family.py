"""What the rest of the program asks of this family: configuration, assembly, weight table, processor, default LoRA targets."""

import re
from pathlib import Path

import jax.numpy as jnp
from flax import nnx
from jax.typing import DTypeLike

from jax_mdpo.layers.execution import DEFAULT, Execution
from jax_mdpo.models.families.llava.config import LlavaConfig, read_config
from jax_mdpo.models.families.llava.model import Llava
from jax_mdpo.models.families.llava.processor import LlavaProcessor
from jax_mdpo.models.families.llava.sizes import PUBLISHED as PUBLISHED
from jax_mdpo.models.families.llava.sizes import image_positions as image_positions
from jax_mdpo.models.families.llava.sizes import image_shape as image_shape
from jax_mdpo.models.families.llava.sizes import sizes as sizes
from jax_mdpo.models.families.llava.sizes import token_boxes as token_boxes
from jax_mdpo.models.parts import clip, llama, projector
from jax_mdpo.weights.tables import Entry, Rule, entries, within

# the decoder's linear layers: a full-match regular expression in PEFT's manner
LORA_TARGETS = r"model\.language_model\.layers\.\d+\.(self_attn\.(q|k|v|o)_proj|mlp\.(gate|up|down)_proj)"
QUANTISED = "language_model.layers"  # the part whose kernels model.quantization applies to: nine tenths of the bytes
VISION = ("vision_tower", "multi_modal_projector")  # parts between pixels and features

# buffers that older versions of transformers stored; they are derived, not weights
_BUFFERS = re.compile(r".*(embeddings\.position_ids|rotary_emb\.inv_freq)")


def processor(folder: Path) -> LlavaProcessor:
    """The tokenizer, chat template and image geometry of the checkpoint in `folder`."""
    return LlavaProcessor.load(folder)


def configuration(folder: Path, processor: LlavaProcessor) -> LlavaConfig:
    """The model's configuration; the processor brings the pixel normalisation, which runs on the device."""
    return read_config(folder, pixel_scale=processor.pixel_scale, pixel_mean=processor.pixel_mean, pixel_std=processor.pixel_std)


def shapes(folder: Path) -> LlavaConfig:
    """The configuration without the processor's files: enough for the shapes of everything, not for pixels."""
    return read_config(folder, pixel_scale=1.0, pixel_mean=(0.0, 0.0, 0.0), pixel_std=(1.0, 1.0, 1.0))


def build(config: LlavaConfig, *, rngs: nnx.Rngs, dtype: DTypeLike = jnp.float32, execution: Execution = DEFAULT) -> Llava:
    """The model with random weights; under nnx.eval_shape, its shapes only."""
    return Llava(config, rngs=rngs, dtype=dtype, execution=execution)


def table(config: LlavaConfig) -> list[Entry]:
    """The weight table, in transformers' module names (weights/key_layouts.py knows the stored spellings)."""
    rules: list[Rule] = [
        *within("model.vision_tower", clip.rules(), path="vision_tower"),
        *within("model.multi_modal_projector", projector.rules(bias=config.projector_bias), path="multi_modal_projector"),
        *within("model.language_model", llama.rules(config.text), path="language_model"),
    ]
    if not config.tied_head:
        rules.append(Rule("lm_head.weight", "lm_head.kernel", "o i -> i o"))
    stacks = {
        "model.vision_tower.encoder.layers": config.vision.layers,
        "model.language_model.layers": config.text.layers,
    }
    return list(entries(rules, stacks))


def ignored(config: LlavaConfig, key: str) -> bool:
    """Whether a stored tensor, in canonical spelling, may stand unused: old buffers, and the head where it is tied."""
    return bool(_BUFFERS.fullmatch(key)) or (config.tied_head and key == "lm_head.weight")
