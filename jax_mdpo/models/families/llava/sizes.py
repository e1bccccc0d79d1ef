"""What a LLaVA's arithmetic depends on, and the sizes of the published checkpoints."""

from jax_mdpo.layers.rope import frequencies
from jax_mdpo.models.families.llava.config import LlavaConfig
from jax_mdpo.models.parts.clip import ClipConfig
from jax_mdpo.models.parts.llama import LlamaConfig
from jax_mdpo.planning.arithmetic import Sizes


def sizes(config: LlavaConfig) -> Sizes:
    """Matrices of the decoder and operations of the tower, up to the deepest layer that features are taken from."""
    text = config.text
    queries, keys = text.heads * text.head_size, text.kv_heads * text.head_size
    layer = text.width * (2 * queries + 2 * keys) + 3 * text.width * text.mlp
    return Sizes(text.layers * layer, text.layers * queries, text.width * text.vocabulary, _image(config))


def image_shape(config: LlavaConfig) -> tuple[int, int]:
    """Height and width of a framed image, in pixels."""
    return config.vision.image, config.vision.image


def image_positions(config: LlavaConfig) -> int:
    """How many positions an image takes in a decoder's row."""
    return config.vision.patches + config.keep_class


def token_boxes(config: LlavaConfig) -> tuple[tuple[int, int, int, int] | None, ...]:
    """For each of an image's tokens the part of the framed image that it stands for: left, top, right, bottom; none of the class token."""
    side, patch = config.vision.image, config.vision.patch
    starts = range(0, side - side % patch, patch)
    boxes = tuple((left, top, left + patch, top + patch) for top in starts for left in starts)
    return (None,) * config.keep_class + boxes


def _image(config: LlavaConfig) -> int:
    vision, width = config.vision, config.text.width
    tokens = vision.patches + 1  # the class position
    block = 2 * tokens * (4 * vision.width**2 + 2 * vision.width * vision.mlp) + 4 * tokens**2 * vision.width
    patches = 2 * vision.patches * 3 * vision.patch**2 * vision.width
    projector = 2 * image_positions(config) * (len(config.depths) * vision.width * width + width**2)
    return max(config.depths) * block + patches + projector


def _published(width: int, mlp: int, layers: int, heads: int) -> LlavaConfig:
    """LLaVA-1.5 (arXiv 2310.03744) as llava-hf published it: CLIP ViT-L/14 at 336 pixels, Vicuna with 64 more ids."""
    head_size = width // heads
    text = LlamaConfig(width, mlp, layers, heads, heads, head_size, 32064, frequencies(head_size, {"rope_theta": 10000.0}), eps=1e-5)
    return LlavaConfig(
        vision=ClipConfig(width=1024, mlp=4096, layers=24, heads=16, image=336, patch=14),
        text=text,
        depths=(23,),
        keep_class=False,
        projector_activation="gelu",
        projector_bias=True,
        tied_head=False,
        pixel_scale=1 / 255,
        pixel_mean=(0.48145466, 0.4578275, 0.40821073),
        pixel_std=(0.26862954, 0.26130258, 0.27577711),
    )


PUBLISHED = {
    "llava-hf/llava-1.5-7b-hf": _published(4096, 11008, 32, 32),
    "llava-hf/llava-1.5-13b-hf": _published(5120, 13824, 40, 40),
}
