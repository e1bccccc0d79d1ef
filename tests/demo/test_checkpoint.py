"""The demo's checkpoint folder is one that transformers and the program take for a LLaVA."""

import pytest
from PIL import Image

from jax_mdpo.demo.captions import all_texts
from jax_mdpo.demo.checkpoint import write_checkpoint_files
from jax_mdpo.models.families.llava.processor import LlavaProcessor

USER = {"role": "user", "content": [{"type": "image"}, {"type": "text", "text": "What do you see?"}]}
ANSWER = {"role": "assistant", "content": [{"type": "text", "text": "There is a red circle."}]}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return write_checkpoint_files(tmp_path_factory.mktemp("checkpoint"))


@pytest.fixture(scope="module")
def tokenizer(folder):
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(folder)


def test_the_template_speaks_as_llava_was_trained(tokenizer):
    prompt = tokenizer.apply_chat_template([USER], add_generation_prompt=True, tokenize=False)
    whole = tokenizer.apply_chat_template([USER, ANSWER], tokenize=False)
    assert prompt == "USER: <image>\nWhat do you see? ASSISTANT:"
    assert whole == prompt + " There is a red circle.</s>"


def test_texts_without_an_image_have_a_space_after_the_role(tokenizer):
    text_only = {"role": "user", "content": [{"type": "text", "text": "Hello."}]}
    assert tokenizer.apply_chat_template([text_only], add_generation_prompt=True, tokenize=False) == "USER: Hello. ASSISTANT:"


def test_every_text_of_the_world_survives_the_tokenizer_without_unknowns(tokenizer):
    for text in [*all_texts(), "A stranger says: ¿qué? 漢字"]:
        ids = tokenizer(text).input_ids
        assert tokenizer.unk_token_id not in ids
        assert ids[0] == tokenizer.bos_token_id
        assert tokenizer.decode(ids, skip_special_tokens=True) == text


def test_special_texts_are_one_token_each_and_bytes_are_not_special(tokenizer):
    ids = [tokenizer(token, add_special_tokens=False).input_ids for token in ("</s>", "<image>", "<pad>")]
    assert ids == [[tokenizer.eos_token_id], [tokenizer.convert_tokens_to_ids("<image>")], [tokenizer.pad_token_id]]
    assert len(tokenizer("<0x41>", add_special_tokens=False).input_ids) > 1


def test_transformers_builds_the_model(folder, tokenizer):
    transformers = pytest.importorskip("transformers")
    pytest.importorskip("torch")
    config = transformers.AutoConfig.from_pretrained(folder)
    model = transformers.LlavaForConditionalGeneration(config)
    assert config.text_config.vocab_size == len(tokenizer)
    assert config.image_token_index == tokenizer.convert_tokens_to_ids("<image>")
    assert 0.5e6 < model.num_parameters() < 1.5e6


def test_the_program_takes_its_processor(folder, tokenizer):
    processor = LlavaProcessor.load(folder)
    assert processor.frame(Image.new("RGB", (112, 90))).size == (56, 56)
    assert processor.image_features == (56 // 14) ** 2
    assert processor.end_ids == {tokenizer.eos_token_id}
    assert processor.pad_id == tokenizer.pad_token_id
