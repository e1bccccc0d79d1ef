"""The operations that the benchmarks count, against the counting in jax_mdpo/planning."""

import pytest

from benchmarks.harness.sizes import HUNDRED, LLAVA_7B, Size
from benchmarks.harness.work import arithmetic_sizes, least, lora_parameters, separate, shared
from jax_mdpo.models.families.llava.sizes import PUBLISHED, sizes
from jax_mdpo.planning.arithmetic import authors_work


def test_the_largest_size_has_the_shapes_of_llava_15_7b() -> None:
    assert arithmetic_sizes(LLAVA_7B) == sizes(PUBLISHED["llava-hf/llava-1.5-7b-hf"])


@pytest.mark.parametrize("size", [HUNDRED, LLAVA_7B], ids=lambda size: size.name)
@pytest.mark.parametrize("again", [False, True])
def test_the_recipe_is_counted_as_the_planner_counts_it(size: Size, again: bool) -> None:
    prefix = size.image_tokens + size.prompt
    expected = authors_work(arithmetic_sizes(size), prefix, size.response, size.response, lora=lora_parameters(size), rematerialised=again)
    assert separate(size, "mdpo", every_logit=True, again=again) == expected


def test_a_cache_spreads_the_reference_and_its_images_over_three_epochs() -> None:
    images = 2 * arithmetic_sizes(HUNDRED).image
    reference = shared(HUNDRED, "mdpo") - least(HUNDRED, "mdpo")
    assert shared(HUNDRED, "mdpo", cached=True) == least(HUNDRED, "mdpo") + (reference + images) // 3


def test_rematerialising_adds_work_policy_by_policy() -> None:
    none, elementwise, mlp, full = (shared(HUNDRED, "mdpo", remat=remat) for remat in ("none", "elementwise", "mlp", "full"))
    assert none == elementwise < mlp < full
