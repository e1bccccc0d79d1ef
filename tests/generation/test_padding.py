"""How far prompts are padded."""

from jax_mdpo.generation.generator import padded


def test_padding_is_little_and_holds_the_prompt():
    for length in [*range(1, 700), 1024, 1025, 4000]:
        assert padded(length) % 16 == 0
        assert length <= padded(length) < length + max(16, length / 8)


def test_lengths_are_few():
    assert len({padded(length) for length in range(513, 1025)}) == 8
    assert len({padded(length) for length in range(1, 4097)}) <= 8 + 5 * 8
