"""A LLaVA checkpoint folder of any size, with random weights, in Hugging Face's layout; and a LoRA adapter for it in PEFT's.

The tokenizer knows words: a text of n words is n tokens wherever it is cut, so that programs which tokenise a prompt apart from its
answer get the same tokens as those which do not.
"""

import json
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from tokenizers import AddedToken, Tokenizer, models, pre_tokenizers

from benchmarks.harness.sizes import Size
from jax_mdpo.core.seeds import generator
from jax_mdpo.lora.peft_files import write_adapter
from jax_mdpo.lora.targets import target
from jax_mdpo.models.families.llava import family
from jax_mdpo.models.saving import stored_tensors
from jax_mdpo.scenes.checkpoint import CHAT_TEMPLATE, image_processor, processor
from jax_mdpo.weights.writing import write_checkpoint

SPECIAL = {"unk_token": "<unk>", "bos_token": "<s>", "eos_token": "</s>", "pad_token": "<pad>"}
IMAGE, USER, ASSISTANT = "<image>", "USER:", "ASSISTANT:"
WORDS = [f"word{i}" for i in range(400)]
B_STDDEV = 0.01  # of the adapter's second factor: not zero, or the first loss would be ln 2 a term whatever the model computes


def write_model(folder: Path, size: Size, dtype: str) -> None:
    """Writes configuration, processor files and weights. The weights are drawn on the default device, a GPU where there is one."""
    folder.mkdir(parents=True)
    tokenizer = _tokenizer()
    for name, content in _files(size, tokenizer, dtype).items():
        (folder / name).write_text(json.dumps(content, indent=2) + "\n")
    tokenizer.save(str(folder / "tokenizer.json"))
    (folder / "chat_template.jinja").write_text(SPECIAL["bos_token"] + CHAT_TEMPLATE)
    config = family.configuration(folder, family.processor(folder))
    base = jax.jit(lambda: nnx.state(family.build(config, rngs=nnx.Rngs(0), dtype=jnp.dtype(dtype))))()
    write_checkpoint(folder, stored_tensors(base, family.table(config)))


def write_lora(folder: Path, size: Size, *, base_model: Path) -> None:
    """An adapter on every linear layer of the decoder, both factors random."""
    text = size.text
    wide, mlp = text["hidden_size"], text["intermediate_size"]
    narrow = wide * text["num_key_value_heads"] // text["num_attention_heads"]
    sides = {
        "self_attn.q_proj": (wide, wide),
        "self_attn.k_proj": (wide, narrow),
        "self_attn.v_proj": (wide, narrow),
        "self_attn.o_proj": (wide, wide),
        "mlp.gate_proj": (wide, mlp),
        "mlp.up_proj": (wide, mlp),
        "mlp.down_proj": (mlp, wide),
    }
    factors = {}
    for layer in range(text["num_hidden_layers"]):
        for module, (inputs, outputs) in sides.items():
            name = f"model.language_model.layers.{layer}.{module}"
            rng = generator(0, "benchmark adapter", name)
            a = rng.uniform(-1, 1, (size.rank, inputs)) / np.sqrt(inputs)
            b = rng.normal(0, B_STDDEV, (outputs, size.rank))
            factors[name] = (a.astype(np.float32), b.astype(np.float32))
    targets = dict.fromkeys(factors, target(size.rank, 2 * size.rank, use_rslora=False))
    write_adapter(folder, factors=factors, targets=targets, base_model=str(base_model))


def _tokenizer() -> Tokenizer:
    special = [*SPECIAL.values(), IMAGE]
    vocabulary = {token: place for place, token in enumerate([*special, USER, ASSISTANT, *WORDS])}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token=SPECIAL["unk_token"]))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    tokenizer.add_special_tokens([AddedToken(token, normalized=False, special=True) for token in special])
    return tokenizer


def _files(size: Size, tokenizer: Tokenizer, dtype: str) -> dict[str, dict[str, Any]]:
    ids = {f"{name}_id": tokenizer.token_to_id(text) for name, text in SPECIAL.items() if name != "unk_token"}
    return {
        "config.json": {
            "architectures": ["LlavaForConditionalGeneration"],
            "model_type": "llava",
            "dtype": dtype,
            "image_token_index": tokenizer.token_to_id(IMAGE),
            "image_seq_length": size.image_tokens,
            "pad_token_id": ids["pad_token_id"],
            "projector_hidden_act": "gelu",
            "multimodal_projector_bias": True,
            "vision_feature_layer": -2,
            "vision_feature_select_strategy": "default",
            "tie_word_embeddings": False,
            "vision_config": {"model_type": "clip_vision_model", **size.vision},
            "text_config": {"model_type": "llama", "vocab_size": size.vocabulary, "rms_norm_eps": 1e-5, **ids, **size.text},
        },
        "generation_config.json": ids,
        "tokenizer_config.json": {"tokenizer_class": "PreTrainedTokenizerFast", "clean_up_tokenization_spaces": False, **SPECIAL},
        "preprocessor_config.json": image_processor(size.vision["image_size"]),
        "processor_config.json": processor(size.vision["patch_size"]),
    }
