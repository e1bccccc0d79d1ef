"""Operations counted by hand, and the published comparison of recipes at the real sizes."""

import pytest

from jax_mdpo.models.families.llava.sizes import PUBLISHED, sizes
from jax_mdpo.planning.arithmetic import (
    Row,
    Sizes,
    authors_work,
    decoder_backward,
    decoder_forward,
    head_work,
    least_work,
    mdpo_rows,
    training,
)

SMALL = Sizes(decoder=100, attention=6, head=50, image=1000)
SEVEN = sizes(PUBLISHED["llava-hf/llava-1.5-7b-hf"])
LORA = 32 * 64 * (4 * (4096 + 4096) + 3 * (4096 + 11008))  # rank 64 on every linear layer of the decoder
PREFIX, RESPONSE = 50 + 576, 120


def test_a_row_sees_causally_and_branches_do_not_see_each_other():
    row = Row(3, (2, 1))
    assert row.tokens == 3 + 2 + 1
    assert row.seen == (1 + 2 + 3) + (4 + 5) + 4


def test_forward_of_a_row():
    assert decoder_forward(SMALL, Row(3, (2,))) == 2 * 100 * 5 + 4 * 6 * (1 + 2 + 3 + 4 + 5)
    assert decoder_forward(SMALL, Row(3, (2,)), lora=7) == 2 * 107 * 5 + 4 * 6 * 15


def test_backward_differentiates_inputs_of_the_base_and_both_sides_of_adapters():
    assert decoder_backward(SMALL, Row(3, (2,)), lora=7) == 2 * 100 * 5 + 2 * 2 * 7 * 5 + 8 * 6 * 15


def test_training_runs_the_head_both_ways():
    row = Row(2, (1,))
    decoder = decoder_forward(SMALL, row, lora=7) + decoder_backward(SMALL, row, lora=7)
    assert training(SMALL, row, lora=7, head_positions=1) == decoder + 2 * (2 * 50)
    assert head_work(SMALL, 3) == 2 * 50 * 3


def test_the_least_encodes_each_image_once_and_reads_response_positions():
    one = training(SMALL, Row(4, (2, 3)), lora=7, head_positions=5)
    other = training(SMALL, Row(4, (2,)), lora=7, head_positions=2)
    assert least_work(SMALL, mdpo_rows(4, 2, 3), lora=7, images=2) == 2 * 1000 + one + other


def test_what_is_read_without_a_gradient_costs_its_forward_pass():
    """UE-DPO: both answers given the true image with a gradient, and given the noised one without."""
    row = Row(4, (2, 3))
    read = decoder_forward(SMALL, row, lora=7) + 5 * 2 * 50
    assert least_work(SMALL, [row], lora=7, images=2, read=[row]) == 2 * 1000 + training(SMALL, row, lora=7, head_positions=5) + read


def test_sizes_of_the_7b():
    layer = 4 * 4096**2 + 3 * 4096 * 11008
    assert (SEVEN.decoder, SEVEN.attention, SEVEN.head) == (32 * layer, 32 * 4096, 4096 * 32064)
    block = 2 * 577 * (4 * 1024**2 + 2 * 1024 * 4096) + 4 * 577**2 * 1024
    assert SEVEN.image == 23 * block + 2 * 576 * 588 * 1024 + 2 * 576 * (1024 * 4096 + 4096**2)


@pytest.mark.parametrize(("rematerialised", "tera"), [(False, 94.96), (True, 125.1)])
def test_the_authors_recipe_at_7b(rematerialised, tera):
    work = authors_work(SEVEN, PREFIX, RESPONSE, RESPONSE, lora=LORA, rematerialised=rematerialised)
    assert round(work / 1e12, 1 if rematerialised else 2) == tera


def test_the_least_at_7b():
    assert least_work(SEVEN, mdpo_rows(PREFIX, RESPONSE, RESPONSE), lora=LORA, images=2) / 1e12 == pytest.approx(45.28, abs=0.005)


def test_what_a_cached_reference_saves():
    work = authors_work(SEVEN, PREFIX, RESPONSE, RESPONSE, lora=LORA, rematerialised=False)
    alone = Row(PREFIX, (RESPONSE,))
    reference = 3 * (decoder_forward(SEVEN, alone) + head_work(SEVEN, alone.tokens) + SEVEN.image)
    assert work / (work - reference) == pytest.approx(1.49, abs=0.0051)
