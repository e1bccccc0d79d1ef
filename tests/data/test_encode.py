"""Encoding against transformers' own template rendering and tokenization, and against what the issue's rules say by hand."""

from pathlib import Path

import pytest
from tiny_processors import CHATML, VICUNA, byte_level, llama_like, write_processor
from transformers import AutoTokenizer

from jax_mdpo.core.errors import RecordError, UserError
from jax_mdpo.core.records import Message, Record, Text
from jax_mdpo.data.chat import probe
from jax_mdpo.data.encode import Encoder
from jax_mdpo.data.settings import DataSettings
from jax_mdpo.models.families.llava.processor import LlavaProcessor

PICTURE = Path("cat.jpg")


def encoder(processor, **settings) -> Encoder:
    return Encoder(processor, DataSettings(path="unused", **settings))


def record(prompt="what is shown?", chosen="two cats", rejected="a dog", image=PICTURE) -> Record:
    return Record("r1", prompt, chosen, rejected, image)


def texts(processor, sequence) -> tuple[str, str]:
    tokens = [processor.tokenizer.id_to_token(id) for id in sequence.ids]
    return " ".join(tokens[: sequence.start]), " ".join(tokens[sequence.start :])


USER = {"role": "user", "content": [{"type": "image"}, {"type": "text", "text": "what is shown?"}]}


def hf_ids(folder, answer: str, template: str) -> tuple[list[int], str]:
    """The whole dialogue as transformers renders it, as ids and as text."""
    tokenizer = AutoTokenizer.from_pretrained(folder)
    messages = [USER, {"role": "assistant", "content": [{"type": "text", "text": answer}]}]
    text = tokenizer.apply_chat_template(messages, chat_template=template, tokenize=False)
    return tokenizer(text).input_ids, text


@pytest.mark.parametrize("answer", ["two cats", "a red sofa, people", "größe 🐈 yes", "  indented", "a\n\ndog"])
def test_plain_prompts_equal_transformers_rendering(vicuna, vicuna_folder, chatml, chatml_folder, answer):
    found = encoder(chatml)(record(chosen=answer))["chosen"]
    ids, text = hf_ids(chatml_folder, answer, CHATML)
    assert text.endswith("<|im_end|>\n") and found.ids == ids[:-1]  # only the newline of the template is dropped

    found = encoder(vicuna)(record(chosen=answer))["chosen"]
    tokenizer = AutoTokenizer.from_pretrained(vicuna_folder)
    _, text = hf_ids(vicuna_folder, answer, VICUNA)
    assert found.ids == [*tokenizer(text[:-1]).input_ids, tokenizer.eos_token_id]


def test_where_the_response_begins(vicuna, chatml):
    prompt, response = texts(vicuna, encoder(vicuna)(record())["chosen"])
    assert prompt.startswith("<s> ▁USER:") and prompt.endswith("ASSISTANT:") and response == "▁two ▁cats </s>"
    prompt, response = texts(chatml, encoder(chatml)(record(chosen="yes no"))["chosen"])
    assert prompt.startswith("<|im_start|> user Ċ <image> Ċ") and prompt.endswith("Ċ") and response.endswith("<|im_end|>")
    assert response.replace(" ", "").replace("Ġ", " ") == "yes no<|im_end|>"


def test_a_token_that_straddles_the_boundary_is_scored(tmp_path):
    """The generation prompt ends in a space, which the tokenizer joins to the answer's first word."""
    folder = write_processor(tmp_path / "p", llama_like(), VICUNA.replace("'ASSISTANT:'", "'ASSISTANT: '"))
    processor = LlavaProcessor.load(folder)
    prompt, response = texts(processor, encoder(processor)(record())["chosen"])
    assert prompt.endswith("ASSISTANT:") and response == "▁two ▁cats </s>"


def test_a_straddling_token_counts_whole_where_a_tokenizer_trims_offsets(tmp_path):
    """The answer's newline belongs to the response though GPT-2-like offsets leave whitespace out of a token's span."""
    template = CHATML.replace("{{ '<|im_start|>assistant\\n' }}", "{{ '<|im_start|>assistant' }}")
    processor = LlavaProcessor.load(write_processor(tmp_path / "p", byte_level(), template))
    _, response = texts(processor, encoder(processor)(record(chosen="yes"))["chosen"])
    assert response.startswith("Ċ") and response.endswith("<|im_end|>")


def test_the_answers_own_whitespace_stays(vicuna):
    with_space = encoder(vicuna)(record(chosen="two cats \n"))["chosen"].ids
    without = encoder(vicuna)(record(chosen="two cats"))["chosen"].ids
    assert len(with_space) > len(without) and vicuna.decode(with_space).endswith("cats \n</s>")


def test_end_tokens(vicuna, chatml):
    assert encoder(vicuna)(record())["chosen"].ids[-1] == vicuna.eos_id
    last = encoder(chatml)(record())["chosen"].ids[-2:]
    assert chatml.tokenizer.id_to_token(last[1]) == "<|im_end|>" and chatml.eos_id not in last


def test_a_template_that_writes_bos_gets_no_second(tmp_path, vicuna):
    folder = write_processor(tmp_path / "p", llama_like(), "{{ bos_token }}" + VICUNA)
    processor = LlavaProcessor.load(folder)
    ids = encoder(processor)(record())["chosen"].ids
    assert ids.count(processor.tokenizer.token_to_id("<s>")) == 1


@pytest.mark.parametrize("prompt_format", ["auto", "templated"])
def test_templated_prompts_are_tokenised_as_they_are(vicuna, vicuna_folder, prompt_format):
    prompt = "USER: <image>\nwhat is shown? ASSISTANT:"
    tokenizer = AutoTokenizer.from_pretrained(vicuna_folder)
    before = tokenizer(prompt).input_ids
    after = tokenizer("two cats", add_special_tokens=False).input_ids
    found = encoder(vicuna, prompt_format=prompt_format)(record(prompt))["chosen"]
    assert found == ([*before, *after, tokenizer.eos_token_id], len(before))


def test_chat_messages_are_kept(vicuna):
    turns = (
        Message("user", (Text("look"), "image")),
        Message("assistant", (Text("yes"),)),
        Message("user", (Text("what is shown?"),)),
    )
    answers = {name: (Message("assistant", (Text(text),)),) for name, text in (("chosen", "two cats"), ("rejected", "a dog"))}
    found = encoder(vicuna)(Record(1, turns, **answers, image=PICTURE))
    assert found == encoder(vicuna)(Record(1, turns, "two cats", "a dog", PICTURE))
    expected = "<s> USER: <image> \nlook ASSISTANT: yes USER: what is shown? ASSISTANT: two cats</s>"
    assert vicuna.decode(found["chosen"].ids) == expected


def test_text_only_records(vicuna):
    ids = encoder(vicuna)(record(image=None))["chosen"].ids
    assert vicuna.image_id not in ids


def test_probe(vicuna, chatml):
    assert probe(vicuna) == ("USER:", "ASSISTANT:", " ", False)
    assert probe(chatml) == ("<|im_start|>user", "<|im_start|>assistant", "<|im_end|>\n", False)


def test_templated_prompts_without_a_role_marker(vicuna):
    judge = encoder(vicuna)
    assert judge.lacks_role_marker(record("<image>\nwhat is shown?"))
    assert not judge.lacks_role_marker(record("USER: <image>\nwhat is shown? ASSISTANT:"))
    assert not judge.lacks_role_marker(record("what is shown?"))  # plain: the template writes the markers


BAD = {
    "placeholder missing": (record("what?"), {"prompt_format": "templated"}, "'<image>' 0 times"),
    "placeholder doubled": (record("<image> <image> what?"), {}, "'<image>' 2 times"),
    "placeholder in a plain prompt": (record("<image>\nwhat?"), {"prompt_format": "plain"}, "'<image>' 2 times"),
    "placeholder without image": (record("<image>\nwhat?", image=None), {}, "no image"),
    "placeholder in a response": (record(rejected="see <image>"), {}, "rejected response holds the image placeholder"),
    "messages where strings are due": (record((Message("user", (Text("a"),)),)), {"prompt_format": "templated"}, "list of messages"),
    "answer of the wrong role": (record(chosen=(Message("user", (Text("a"),)),)), {}, "assistant's turn"),
    "too long": (record(), {"max_length": 28}, "at most 28 tokens"),
    "prompt too long to cut": (record(), {"max_length": 20, "overlong": "truncate"}, "prompt and image are too long"),
    "equal after the cut": (record(chosen="two cats", rejected="two dog"), {"max_length": 29, "overlong": "truncate"}, "same tokens"),
}  # fmt: skip


@pytest.mark.parametrize("case", BAD)
def test_bad_records_are_named(vicuna, case):
    bad, settings, reason = BAD[case]
    with pytest.raises(RecordError, match="(?s)record 'r1'.*" + reason):
        encoder(vicuna, **settings)(bad)


def test_the_length_limit_counts_the_expanded_sequence(vicuna):
    """27 tokens before the response (12 of text, the placeholder's 16 less its own) and three in it."""
    sequence = encoder(vicuna)(record())["chosen"]
    length = len(sequence.ids) + 15
    assert encoder(vicuna, max_length=length)(record())["chosen"] == sequence
    with pytest.raises(RecordError, match=f"at most {length - 1} tokens"):
        encoder(vicuna, max_length=length - 1)(record())


def test_truncation_cuts_the_tail_and_keeps_the_end(vicuna):
    whole = encoder(vicuna)(record(chosen="two cats sleep on a red sofa"))["chosen"]
    limit = len(whole.ids) + 15 - 3
    cut = encoder(vicuna, max_length=limit, overlong="truncate")(record(chosen="two cats sleep on a red sofa"))["chosen"]
    assert cut.start == whole.start and cut.ids == [*whole.ids[:-4], vicuna.eos_id]


def test_plain_prompts_need_a_template(tmp_path):
    processor = LlavaProcessor.load(write_processor(tmp_path / "p", llama_like(), None))
    with pytest.raises(UserError, match="no chat template"):
        encoder(processor)(record())
    assert encoder(processor)(record("<image> what?"))["chosen"].ids[-1] == processor.eos_id
    assert not encoder(processor).lacks_role_marker(record("<image> what?"))


def test_a_template_that_refuses_a_record_names_it(tmp_path):
    strict = "{% if messages[0]['role'] == 'system' %}{{ raise_exception('no system turns') }}{% endif %}" + VICUNA
    processor = LlavaProcessor.load(write_processor(tmp_path / "p", llama_like(), strict))
    with pytest.raises(RecordError, match=r"(?s)record 'r1'.*no system turns"):
        encoder(processor)(record((Message("system", (Text("a"),)), Message("user", ("image", Text("b"))))))


def test_a_template_whose_answers_do_not_continue_its_prompt(tmp_path):
    odd = VICUNA.replace("'ASSISTANT:'", "'ASSISTANT: think'")
    processor = LlavaProcessor.load(write_processor(tmp_path / "p", llama_like(), odd))
    with pytest.raises(RecordError, match="differently from one that waits"):
        encoder(processor)(record())
