"""Floating-point operations a pair, by what a program runs. The rules of counting are those of jax_mdpo/planning/arithmetic.py."""

from dataclasses import replace

from benchmarks.harness.objectives import needs_of
from benchmarks.harness.sizes import Size
from jax_mdpo.core.views import NONE, Model
from jax_mdpo.models.families.llava.sizes import PUBLISHED, sizes
from jax_mdpo.models.parts.clip import ClipConfig
from jax_mdpo.models.parts.llama import LlamaConfig
from jax_mdpo.models.plan import plan
from jax_mdpo.planning.arithmetic import Row, Sizes, decoder_forward, head_work, least_work, training

EPOCHS = 3  # of the published recipe: what is made once is spread over them


def arithmetic_sizes(size: Size) -> Sizes:
    """What the counting reads of a LLaVA of this size."""
    text, vision = size.text, size.vision
    wide, heads = text["hidden_size"], text["num_attention_heads"]
    head_size = wide // heads
    decoder = LlamaConfig(
        wide,
        text["intermediate_size"],
        text["num_hidden_layers"],
        heads,
        text["num_key_value_heads"],
        head_size,
        size.vocabulary,
        wavelengths=(),
    )
    tower = ClipConfig(
        width=vision["hidden_size"],
        mlp=vision["intermediate_size"],
        layers=vision["num_hidden_layers"],
        heads=vision["num_attention_heads"],
        image=vision["image_size"],
        patch=vision["patch_size"],
    )
    shape = replace(PUBLISHED["llava-hf/llava-1.5-7b-hf"], vision=tower, text=decoder, depths=(tower.layers - 1,))
    return sizes(shape)


def lora_parameters(size: Size) -> int:
    """Of the adapter's factors."""
    text, rank = size.text, size.rank
    wide, mlp = text["hidden_size"], text["intermediate_size"]
    narrow = wide * text["num_key_value_heads"] // text["num_attention_heads"]
    sides = 2 * (wide + wide) + 2 * (wide + narrow) + 3 * (wide + mlp)
    return text["num_hidden_layers"] * rank * sides


def rows_of(size: Size, objective: str, model: Model = "policy", *, gradient: bool = True) -> tuple[Row, ...]:
    """What a model must read for a pair: its prefixes with their responses. An image that is hidden takes no position."""
    return tuple(
        Row(size.prompt + (0 if image == NONE else size.image_tokens), (size.response,) * len(forward.responses))
        for forward in plan(needs_of(objective)).forwards
        if (forward.model, forward.gradient) == (model, gradient)
        for image in forward.images
    )


def images_of(objective: str) -> int:
    """How many images of a pair the tower looks at."""
    return len([image for image in plan(needs_of(objective)).images if image != NONE])


def least(size: Size, objective: str) -> int:
    """Each image encoded once, each prefix read once, the reference cached, the head on response positions."""
    still = rows_of(size, objective, gradient=False)
    rows, images = rows_of(size, objective), images_of(objective)
    return least_work(arithmetic_sizes(size), rows, lora=lora_parameters(size), images=images, read=still)


def shared(size: Size, objective: str, *, cached: bool = False, remat: str = "none") -> int:
    """jax_mdpo's step. cached: the reference is read, and its making is spread over EPOCHS. remat: as in layers/remat.py."""
    shape, lora, rows = arithmetic_sizes(size), lora_parameters(size), rows_of(size, objective)
    mlp = 2 * 2 * size.text["num_hidden_layers"] * size.text["hidden_size"] * size.text["intermediate_size"]  # gate and up
    again = {"none": 0, "elementwise": 0, "mlp": mlp * sum(row.tokens for row in rows)}
    again["full"] = sum(decoder_forward(shape, row, lora=lora) for row in rows)
    read = rows_of(size, objective, "reference", gradient=False)
    reference = sum(decoder_forward(shape, row) + head_work(shape, sum(row.branches)) for row in read)
    making = (reference + images_of(objective) * shape.image) // EPOCHS
    return least(size, objective) + again[remat] + (making if cached else reference)


def separate(size: Size, objective: str, *, every_logit: bool, again: bool) -> int:
    """Policy and reference over each response as a sequence of its own, the tower for each.

    every_logit: the head on every position. again: the policy's decoder layers run forward twice.
    """
    shape, lora = arithmetic_sizes(size), lora_parameters(size)
    row = Row(size.image_tokens + size.prompt, (size.response,))
    positions = row.tokens if every_logit else size.response
    policy = training(shape, row, lora=lora, head_positions=positions) + (decoder_forward(shape, row, lora=lora) if again else 0)
    reference = decoder_forward(shape, row) + head_work(shape, positions)
    sequences = sum(len(row.branches) for row in rows_of(size, objective))
    return sequences * (policy + reference + 2 * shape.image)
