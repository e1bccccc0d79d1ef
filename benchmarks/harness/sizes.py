"""The models and rows that are measured."""

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Size:
    """A LLaVA and the rows it trains on.

    vision, text: the shapes in the names of a Hugging Face configuration. vocabulary: rows of embedding and head.
    prompt: text tokens before the answer. response: tokens of each answer, its end token included.
    picture: width and height of the JPEG files, pixels. rank: of the LoRA on every linear layer of the decoder; alpha is twice that.
    batches: the pairs a step that are tried. steps, warm_up, rounds: by default, so that the size's comparison stays affordable.
    """

    name: str
    vision: dict[str, int]
    text: dict[str, int]
    vocabulary: int
    prompt: int
    response: int
    picture: tuple[int, int]
    rank: int
    batches: tuple[int, ...]
    steps: int
    warm_up: int
    rounds: int

    @property
    def image_tokens(self) -> int:
        """Positions that an image takes."""
        return (self.vision["image_size"] // self.vision["patch_size"]) ** 2

    @property
    def row(self) -> int:
        """Tokens of one sequence: image, prompt and one response."""
        return self.image_tokens + self.prompt + self.response

    def facts(self) -> dict[str, Any]:
        """What a report says of it."""
        return {
            "name": self.name,
            "vision": self.vision,
            "text": self.text,
            "vocabulary": self.vocabulary,
            "tokens": {"image": self.image_tokens, "prompt": self.prompt, "response": self.response},
            "lora_rank": self.rank,
        }


def _vision(width: int, layers: int, heads: int, image: int) -> dict[str, int]:
    return {
        "hidden_size": width,
        "intermediate_size": 4 * width,
        "num_hidden_layers": layers,
        "num_attention_heads": heads,
        "image_size": image,
        "patch_size": 14,
        "projection_dim": width,
    }


def _text(width: int, mlp: int, layers: int, heads: int, kv_heads: int | None = None) -> dict[str, int]:
    return {
        "hidden_size": width,
        "intermediate_size": mlp,
        "num_hidden_layers": layers,
        "num_attention_heads": heads,
        "num_key_value_heads": kv_heads or heads,
        "max_position_embeddings": 4096,
    }


TINY = Size(
    "tiny",  # 0.9 M parameters: what a step costs beside its arithmetic
    vision=_vision(64, 3, 4, 56),
    text=_text(128, 344, 3, 4, 2),
    vocabulary=512,
    prompt=12,
    response=9,
    picture=(112, 112),
    rank=16,
    batches=(4, 16),
    steps=40,
    warm_up=10,
    rounds=3,
)

SMALL = Size(
    "small",  # 6 M parameters: where cost begins to follow the arithmetic; the base of benchmarks/scaling.py
    vision=_vision(128, 3, 4, 112),
    text=_text(256, 688, 6, 4),
    vocabulary=2048,
    prompt=64,
    response=64,
    picture=(160, 120),
    rank=16,
    batches=(4,),
    steps=6,
    warm_up=2,
    rounds=1,
)

HUNDRED = Size(
    "100m",  # 102 M parameters: rows as long as LLaVA-1.5's, tower and head about the share of the work that they have at 7B
    vision=_vision(256, 5, 4, 336),
    text=_text(768, 2048, 12, 6),
    vocabulary=8192,
    prompt=50,
    response=120,
    picture=(640, 480),
    rank=16,
    batches=(1, 2),
    steps=3,
    warm_up=1,
    rounds=3,
)

LLAVA_7B = Size(
    "7b",  # LLaVA-1.5-7B's shapes: a GPU only
    vision=_vision(1024, 24, 16, 336),
    text=_text(4096, 11008, 32, 32),
    vocabulary=32064,
    prompt=50,
    response=120,
    picture=(640, 480),
    rank=64,
    batches=(1, 2, 4, 8, 16),
    steps=8,
    warm_up=3,
    rounds=2,
)

SIZES = {size.name: size for size in (TINY, SMALL, HUNDRED, LLAVA_7B)}
