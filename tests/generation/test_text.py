"""Text that streams is the text of the whole, piece by piece, with no character cut."""

import pytest
from tiny_processors import VICUNA, byte_level, llama_like, write_processor

from jax_mdpo.generation.text import Stream, text_of
from jax_mdpo.models.families.llava.processor import LlavaProcessor

TEXTS = ["two cats sleep on a red sofa", "ein Käfer 猫 🐈 und mehr", "a  b\n\nc ", "日本語"]


@pytest.fixture(scope="module", params=[llama_like, byte_level])
def processor(request, tmp_path_factory):
    return LlavaProcessor.load(write_processor(tmp_path_factory.mktemp("processor"), request.param(), VICUNA))


@pytest.mark.parametrize("text", TEXTS)
def test_pieces_are_the_text(processor, text):
    tokens = [*processor.tokenize(text, special_tokens=False).ids, processor.eos_id]
    stream = Stream(processor)
    pieces = [*map(stream.push, tokens), stream.end()]
    assert "".join(pieces) == text_of(processor, tokens) == text.strip()
    assert not any("�" in piece for piece in pieces)
    assert sum(map(bool, pieces)) > 2, "it must come in pieces"


def test_a_character_that_never_ends_is_shown_at_the_end(processor):
    tokens = processor.tokenize("a 猫", special_tokens=False).ids[:-1]
    stream = Stream(processor)
    pieces = list(map(stream.push, tokens))
    assert "".join(pieces) == "a"
    assert "".join(pieces) + stream.end() == text_of(processor, tokens) and "�" in text_of(processor, tokens)
