"""The tokenizer, chat template and image geometry of a LLaVA checkpoint folder in Hugging Face's layout."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from PIL import Image
from tokenizers import Tokenizer

from jax_mdpo.core.batch import TEXT_SLOT
from jax_mdpo.core.errors import UserError, WeightsError
from jax_mdpo.core.protocols import Tokens
from jax_mdpo.data.chat import closing_text
from jax_mdpo.models.families.llava.framing import Framing, read_framing

Triple = tuple[float, float, float]


@dataclass(frozen=True)
class LlavaProcessor:
    """core.protocols.Processor for LLaVA. Holds no transformers object: those work in Python where Pillow needs no interpreter.

    image_features: how many positions an image takes. pixel_scale, pixel_mean, pixel_std: the device computes
    (pixel · scale − mean) / std per channel; 1, 0 and 1 where the checkpoint does not rescale or normalise.
    special_texts: the names under which the chat template finds special tokens (bos_token, eos_token, …).
    """

    tokenizer: Tokenizer
    template: str | None
    special_texts: Mapping[str, str]
    framing: Framing
    input_size: tuple[int, int]
    image_placeholder: str
    image_id: int
    image_features: int
    pad_id: int
    eos_id: int
    eos_ids: frozenset[int]
    pixel_scale: float
    pixel_mean: Triple
    pixel_std: Triple

    @classmethod
    def load(cls, folder: Path) -> "LlavaProcessor":
        """Reads the processor files of `folder`. Raises WeightsError where one is missing or they contradict each other."""
        from transformers import AutoImageProcessor, AutoTokenizer  # slow, and needed here only

        config = _read_json(folder / "config.json")
        if config is None:
            raise WeightsError(f"{folder} is no checkpoint folder", expected="a config.json in it")
        tokenizer = _load_part(AutoTokenizer, "tokenizer", folder)
        images = _load_part(AutoImageProcessor, "image processor", folder, backend="pil")
        if not getattr(tokenizer, "is_fast", False):
            raise WeightsError(f"the tokenizer in {folder} is of the slow kind", expected="a tokenizer.json", fix="save it as a fast one")
        eos_ids = _eos_ids(folder, config, tokenizer)
        image_id = config.get("image_token_index", config.get("image_token_id"))
        placeholder = tokenizer.convert_ids_to_tokens(image_id) if isinstance(image_id, int) else None
        if placeholder is None or not isinstance(image_id, int):
            raise WeightsError(f"{folder}: its tokenizer has no image token", expected="config.json's image_token_index", got=f"{image_id}")
        vision = config["vision_config"]
        framing = read_framing(images)
        input_size = framing(Image.new("RGB", (64, 48))).size
        if set(input_size) != {vision["image_size"]}:
            raise WeightsError(
                f"{folder}: its image processor and its vision tower disagree on the image size",
                expected=f"{vision['image_size']} × {vision['image_size']} pixels (config.json)",
                got=f"{input_size[0]} × {input_size[1]} pixels",
                fix="correct crop_size and size in the processor's configuration",
            )
        normalised = bool(images.do_normalize)
        return cls(
            tokenizer=_bare(tokenizer),
            template=_read_template(folder) or _default(tokenizer.chat_template),
            special_texts=_special_texts(tokenizer),
            framing=framing,
            input_size=input_size,
            image_placeholder=placeholder,
            image_id=image_id,
            image_features=_count_features(config),
            pad_id=tokenizer.pad_token_id if tokenizer.pad_token_id is not None else min(eos_ids),
            eos_id=tokenizer.eos_token_id if tokenizer.eos_token_id is not None else min(eos_ids),
            eos_ids=eos_ids,
            pixel_scale=float(images.rescale_factor) if images.do_rescale else 1.0,
            pixel_mean=_triple(images.image_mean) if normalised else (0.0, 0.0, 0.0),
            pixel_std=_triple(images.image_std) if normalised else (1.0, 1.0, 1.0),
        )

    @cached_property
    def end_ids(self) -> frozenset[int]:
        """The EOS tokens of the checkpoint, and the special token that its template writes right after an answer."""
        if self.template is None:
            return self.eos_ids
        special = {id for id, token in self.tokenizer.get_added_tokens_decoder().items() if token.special}
        closing = self.tokenize(closing_text(self.render).lstrip(), special_tokens=False).ids
        return self.eos_ids | (special & set(closing[:1]))

    def frame(self, image: Image.Image) -> Image.Image:
        """The RGB image as transformers' own image processor hands it to rescaling, pixel for pixel."""
        return self.framing(image)

    def blank(self) -> Image.Image:
        """A black image of the input size."""
        return Image.new("RGB", self.input_size)

    def expand(self, ids: Sequence[int]) -> tuple[list[int], list[int]]:
        """Each image placeholder once per image feature; ids and slots."""
        if self.image_id not in ids:
            return list(ids), [TEXT_SLOT] * len(ids)
        expanded: list[int] = []
        slots: list[int] = []
        for token in ids:
            image = token == self.image_id
            expanded += [token] * (self.image_features if image else 1)
            slots += range(self.image_features) if image else [TEXT_SLOT]
        return expanded, slots

    def render(self, messages: Sequence[Mapping[str, Any]], *, generation_prompt: bool) -> str:
        """The chat template applied to messages. Raises UserError where the checkpoint has none, or where it refuses them."""
        from transformers.utils.chat_template_utils import render_jinja_template

        if self.template is None:
            raise UserError(
                "the checkpoint has no chat template, which a plain prompt needs",
                expected="chat_template.jinja, or chat_template in its tokenizer or processor configuration",
                fix="add one to the checkpoint's folder, or give templated prompts (data.prompt_format: templated)",
            )
        try:
            rendered, _ = render_jinja_template(
                conversations=[list(messages)],
                chat_template=self.template,
                add_generation_prompt=generation_prompt,
                **self.special_texts,
            )
        except Exception as error:  # templates raise whatever their authors let them
            raise UserError(f"the checkpoint's chat template refuses the messages: {error}", got=f"{messages!r:.300}") from None
        return rendered[0]

    def tokenize(self, text: str, *, special_tokens: bool) -> Tokens:
        """Ids and the end of each token in `text`, in characters."""
        encoding = self.tokenizer.encode(text, add_special_tokens=special_tokens)
        return Tokens(encoding.ids, [end for _, end in encoding.offsets])

    def decode(self, ids: Sequence[int], *, special_tokens: bool = True) -> str:
        """The text of `ids`; with special tokens, or without them."""
        return self.tokenizer.decode(list(ids), skip_special_tokens=not special_tokens)

    def fingerprint(self) -> str:
        """A digest of tokenizer, template, image geometry and feature count."""
        facts: list[Any] = [self.template, dict(self.special_texts), asdict(self.framing), self.image_id, self.image_features, self.eos_id]
        facts += [sorted(self.end_ids), self.pixel_scale, self.pixel_mean, self.pixel_std]
        return hashlib.sha256((self.tokenizer.to_str() + json.dumps(facts)).encode()).hexdigest()


def _load_part(loader: Any, part: str, folder: Path, **options: Any) -> Any:
    try:
        return loader.from_pretrained(folder, trust_remote_code=False, local_files_only=True, **options)
    except (OSError, ValueError, KeyError, ImportError) as error:
        raise WeightsError(f"the {part} in {folder} cannot be loaded: {error}", fix="copy the checkpoint's processor files") from None


def _bare(tokenizer: Any) -> Tokenizer:
    """The tokenizer proper, without stored truncation and padding, its offsets covering whole tokens, spaces included."""
    state = json.loads(tokenizer.backend_tokenizer.to_str())
    state |= {"truncation": None, "padding": None}
    steps = state["post_processor"] or {}
    for step in [steps, *steps.get("processors", [])]:
        if "trim_offsets" in step:
            step["trim_offsets"] = False
    return Tokenizer.from_str(json.dumps(state))


def _read_template(folder: Path) -> str | None:
    """The processor's chat template; where several files hold one, transformers' order decides."""
    for name in ("processor_config.json", "chat_template.json"):
        template = _default((_read_json(folder / name) or {}).get("chat_template"))
        if template is not None:
            return template
    path = folder / "chat_template.jinja"
    return path.read_text(encoding="utf-8") if path.is_file() else None


def _default(template: Any) -> str | None:
    """Of several named templates, the one named default."""
    return template.get("default") if isinstance(template, Mapping) else template


def _special_texts(tokenizer: Any) -> dict[str, str]:
    return {name: str(text) for name, text in tokenizer.special_tokens_map.items() if isinstance(text, str)}


def _eos_ids(folder: Path, config: Mapping[str, Any], tokenizer: Any) -> frozenset[int]:
    generation = _read_json(folder / "generation_config.json") or {}
    found = [generation.get("eos_token_id"), tokenizer.eos_token_id]
    ids = {id for value in found for id in (value if isinstance(value, list) else [value]) if isinstance(id, int)}
    if not ids:
        raise WeightsError(f"{folder} names no end-of-sequence token", expected="eos_token in tokenizer_config.json")
    return frozenset(ids)


def _count_features(config: Mapping[str, Any]) -> int:
    """Image features after the tower's selection: patches, with the CLS token where the strategy keeps it."""
    vision = config["vision_config"]
    classes = 1 if vision.get("model_type", "clip_vision_model") == "clip_vision_model" else 0
    dropped = 1 if config.get("vision_feature_select_strategy", "default") == "default" else 0
    return (vision["image_size"] // vision["patch_size"]) ** 2 + classes - dropped


def _triple(values: Sequence[float]) -> Triple:
    red, green, blue = (float(value) for value in values)
    return red, green, blue


def _read_json(path: Path) -> dict[str, Any] | None:
    return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else None
