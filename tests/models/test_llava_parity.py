"""Logits of tiny random LLaVA checkpoints against transformers, in float32 at full matmul precision."""

import jax
import jax.numpy as jnp
import needs_torch  # noqa: F401
import numpy as np
import pytest
import torch
from PIL import Image
from transformers import AutoImageProcessor, AutoTokenizer, LlavaForConditionalGeneration

from jax_mdpo.core.errors import WeightsError
from jax_mdpo.layers.execution import Execution
from jax_mdpo.layers.rows import Rows
from jax_mdpo.models.checkpoint import load_checkpoint
from jax_mdpo.sharding.logical import make_mesh

TEXTS = ["USER: <image>\nwhat is in the picture ? ASSISTANT: a red cat .", "USER: <image>\na dog ? ASSISTANT: no"]
SIZES = [(40, 31), (17, 60)]  # width, height


def load(folder, **options):
    return load_checkpoint(folder, make_mesh(devices=jax.devices()[:1]), **options)


def logits(checkpoint, ids, slots, mask, framed):
    """Every position's logits, [B, T, V]; mask is False on padding, wherever it stands."""

    def run(base, ids, slots, mask, framed):
        model = checkpoint.model_over(base)
        return model.logits(
            model.decode(model.embed(ids, slots, model.project(model.look(model.normalise(framed)))), Rows(mask.astype(jnp.int32)))
        )

    with checkpoint.scope():
        return np.asarray(jax.jit(run)(checkpoint.base, *map(jnp.asarray, (ids, slots, mask, framed))))


def prepared(checkpoint, texts, images, *, padding_side):
    """Ids, slots and mask through this project's processor, padded by hand."""
    processor = checkpoint.processor
    rows = [processor.expand(processor.tokenize(text, special_tokens=True).ids) for text in texts]
    length = max(len(ids) for ids, _ in rows)

    def pad(values, fill):
        gap = [fill] * (length - len(values))
        return values + gap if padding_side == "right" else gap + values

    ids = np.array([pad(list(ids), processor.pad_id) for ids, _ in rows])
    slots = np.array([pad(list(slots), -1) for _, slots in rows])
    mask = np.array([pad([True] * len(ids), False) for ids, _ in rows])
    framed = np.stack([np.asarray(processor.frame(image)) for image in images])
    return ids, slots, mask, framed


def drawn_images():
    rng = np.random.default_rng(0)
    return [Image.fromarray(rng.integers(0, 256, (h, w, 3), dtype=np.uint8)) for w, h in SIZES]


def expected(folder, texts, images, *, padding_side):
    """transformers from the text and the images on: its tokenizer, image processor, model and padding."""
    tokenizer = AutoTokenizer.from_pretrained(folder, padding_side=padding_side)
    pixels = AutoImageProcessor.from_pretrained(folder, backend="pil")(images=images, return_tensors="np")["pixel_values"]
    texts = [text.replace("<image>", "<image>" * 16) for text in texts]
    encoded = tokenizer(texts, return_tensors="pt", padding=True)
    model = LlavaForConditionalGeneration.from_pretrained(folder, dtype=torch.float32, attn_implementation="eager").eval()
    with torch.no_grad():
        found = model(
            input_ids=encoded["input_ids"],
            attention_mask=encoded["attention_mask"],
            position_ids=(encoded["attention_mask"].cumsum(-1) - 1).clamp(min=0),
            pixel_values=torch.tensor(pixels) if images else None,
        )
    return encoded["input_ids"].numpy(), encoded["attention_mask"].numpy().astype(bool), found.logits.numpy()


@pytest.mark.parametrize("layout", ["hub", "hub_vision", "model"])
def test_logits_equal_transformers_in_each_key_layout(write_checkpoint_folder, layout):
    folder = write_checkpoint_folder(layout=layout, sharded=layout == "hub")
    checkpoint, images = load(folder), drawn_images()
    for side in ("right", "left"):
        ids, slots, mask, framed = prepared(checkpoint, TEXTS, images, padding_side=side)
        their_ids, their_mask, their_logits = expected(folder, TEXTS, images, padding_side=side)
        np.testing.assert_array_equal(ids, their_ids)
        np.testing.assert_array_equal(mask, their_mask)
        ours = logits(checkpoint, ids, slots, mask, framed)
        np.testing.assert_allclose(ours[mask], their_logits[mask], atol=1e-4, rtol=0)


def test_an_unpadded_row_alone_and_a_text_only_prompt(write_checkpoint_folder):
    folder = write_checkpoint_folder(layout="model", vision_feature_layer=-1, select_strategy="default", num_key_value_heads=4)
    checkpoint, images = load(folder, execution=Execution(scan=False)), drawn_images()
    ids, slots, mask, framed = prepared(checkpoint, TEXTS[:1], images[:1], padding_side="right")
    *_, theirs = expected(folder, TEXTS[:1], images[:1], padding_side="right")
    np.testing.assert_allclose(logits(checkpoint, ids, slots, mask, framed), theirs, atol=1e-4, rtol=0)

    text = ["USER: what is a dog ? ASSISTANT: no one"]
    ids, slots, mask, framed = prepared(checkpoint, text, [checkpoint.processor.blank()], padding_side="right")
    tokenizer = AutoTokenizer.from_pretrained(folder)
    model = LlavaForConditionalGeneration.from_pretrained(folder, dtype=torch.float32).eval()
    with torch.no_grad():
        theirs = model(**tokenizer(text, return_tensors="pt")).logits.numpy()
    np.testing.assert_allclose(logits(checkpoint, ids, slots, mask, framed), theirs, atol=1e-4, rtol=0)


@pytest.mark.parametrize(
    "options",
    [
        {"select_strategy": "full", "vision_feature_layer": 1},
        {"tie": True},
        {"vision_feature_layer": [-2, 1]},
    ],
    ids=["class-kept-layer-1", "tied-head", "two-feature-layers"],
)
def test_configurations_of_the_architecture(write_checkpoint_folder, options):
    folder = write_checkpoint_folder(layout="model", **options)
    checkpoint, images = load(folder), drawn_images()
    ids, slots, mask, framed = prepared(checkpoint, TEXTS[1:], images[1:], padding_side="right")
    features = checkpoint.processor.image_features
    tokenizer = AutoTokenizer.from_pretrained(folder)
    encoded = tokenizer([TEXTS[1].replace("<image>", "<image>" * features)], return_tensors="pt")
    pixels = AutoImageProcessor.from_pretrained(folder, backend="pil")(images=images[1:], return_tensors="np")["pixel_values"]
    model = LlavaForConditionalGeneration.from_pretrained(folder, dtype=torch.float32).eval()
    with torch.no_grad():
        theirs = model(**encoded, pixel_values=torch.tensor(pixels)).logits.numpy()
    np.testing.assert_allclose(logits(checkpoint, ids, slots, mask, framed), theirs, atol=1e-4, rtol=0)


def test_a_checkpoint_with_other_keys_is_refused_with_every_fault(write_checkpoint_folder, tmp_path):
    from safetensors.torch import load_file, save_file

    folder = write_checkpoint_folder(layout="model")
    tensors = load_file(folder / "model.safetensors")
    tensors["model.language_model.layers.0.mlp.gate_prj.weight"] = tensors.pop("model.language_model.layers.0.mlp.gate_proj.weight")
    tensors["model.language_model.norm.weight"] = tensors["model.language_model.norm.weight"][:-1].clone()
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(WeightsError) as caught:
        load(folder)
    message = str(caught.value)
    assert "3 places" in message and "gate_prj" in message and "gate_proj.weight is missing" in message and "norm.weight" in message
