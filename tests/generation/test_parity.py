"""Generated tokens against transformers' `generate`, on a batch of prompts of different lengths, with images and without."""

import json

import jax
import needs_torch  # noqa: F401
import pytest
import torch
from mdpo_world import make_world
from tiny_llava import tiny_llava
from torch_reference import IMAGE_FEATURES

from jax_mdpo.generation.requests import Request
from jax_mdpo.generation.settings import Decoding
from jax_mdpo.models.checkpoint import load_checkpoint
from jax_mdpo.recipe.generating import generate
from jax_mdpo.sharding.logical import make_mesh

SCALE = 0.25  # of the weights: answers that vary, and no tie within rounding
TOKENS = 12
ENDS = [2, 3, 5, 28, 44]  # besides </s> a few that come up, so that some answers end early and others do not
PROMPTS = [  # templated, or a plain question; with an image or without
    ("USER: <image>\nwhat is in the picture ? ASSISTANT:", True),
    ("a red cat and a blue dog on green table , are there two small birds here ?", True),
    ("is no one here ?", False),
    ("USER: <image>\na dog ? ASSISTANT:", True),
    ("what", False),
]


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    made = make_world(tmp_path_factory.mktemp("world"), scale=SCALE, alpha=6)
    (made.folder / "generation_config.json").write_text(json.dumps({"eos_token_id": ENDS}))
    return made


@pytest.fixture(scope="module")
def requests(world):
    images = [record["image"] for record in world.records]
    return [Request(place, prompt, images[place] if seen else None) for place, (prompt, seen) in enumerate(PROMPTS)]


@pytest.fixture(scope="module")
def checkpoint(world):
    return load_checkpoint(world.folder, make_mesh(devices=jax.devices()[:1]))


def templated(tokenizer, request) -> str:
    if "<image>" in request.prompt:
        return request.prompt
    content = [{"type": "image"}] * (request.image is not None) + [{"type": "text", "text": request.prompt}]
    return tokenizer.apply_chat_template([{"role": "user", "content": content}], tokenize=False, add_generation_prompt=True)


def theirs(world, model, requests, **options) -> list[list[int]]:
    """transformers' tokens, prompts padded on the left; padding after the end removed."""
    tokenizer = world.reader.tokenizer
    texts = [templated(tokenizer, request).replace("<image>", "<image>" * IMAGE_FEATURES) for request in requests]
    encoded = tokenizer(texts, return_tensors="pt", padding=True, padding_side="left")
    pixels = torch.cat([world.reader.pixels(request.image) for request in requests if request.image is not None])
    inputs = {"input_ids": encoded["input_ids"], "attention_mask": encoded["attention_mask"], "pixel_values": pixels}
    with torch.no_grad():
        found = model.generate(
            **inputs, max_new_tokens=TOKENS, do_sample=False, use_cache=True, pad_token_id=0, eos_token_id=ENDS, **options
        )
    answers = found[:, encoded["input_ids"].shape[1] :].tolist()
    lengths = [next((place for place, token in enumerate(answer, 1) if token in ENDS), TOKENS) for answer in answers]
    return [answer[:length] for answer, length in zip(answers, lengths, strict=True)]


def ours(world, checkpoint, requests, adapter=None, **options) -> list[list[int]]:
    settings = Decoding(max_tokens=TOKENS, **options)
    answers = list(generate(checkpoint, requests, settings, adapter=adapter, batch=len(requests)))
    assert [answer.id for answer in answers] == [request.id for request in requests]
    assert {answer.ended for answer in answers} == {True, False}
    for answer in answers:
        assert answer.text == world.reader.tokenizer.decode(answer.tokens, skip_special_tokens=True).strip()
    return [answer.tokens for answer in answers]


def test_greedy_tokens_are_transformers(world, checkpoint, requests):
    found = ours(world, checkpoint, requests)
    assert found == theirs(world, tiny_llava(scale=SCALE), requests)
    assert len({token for answer in found for token in answer}) > 15, "answers must vary, or little is compared"


def test_an_adapter_is_applied_without_merging(world, checkpoint, requests):
    found = ours(world, checkpoint, requests, adapter=world.adapter)
    assert found == theirs(world, world.policy, requests)
    assert found != ours(world, checkpoint, requests)


@pytest.mark.parametrize(
    "options", [{}, {"length_penalty": 2.0, "early_stopping": True}, {"length_penalty": 0.5, "early_stopping": "never"}], ids=str
)
def test_beams_are_transformers(world, checkpoint, requests, options):
    found = ours(world, checkpoint, requests, beams=3, **options)
    assert found == theirs(world, tiny_llava(scale=SCALE), requests, num_beams=3, **options)
