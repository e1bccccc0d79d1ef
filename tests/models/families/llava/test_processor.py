"""The processor against transformers' own: geometry pixel for pixel, image features, templates; and what is refused."""

import contextlib
import json
import pickle
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from tiny_processors import CHATML, VICUNA, byte_level, llama_like, write_processor
from transformers import CLIPImageProcessorPil, LlavaImageProcessorPil, SiglipImageProcessorPil
from transformers.models.llava.processing_llava import LlavaProcessor as HuggingFaceProcessor

from jax_mdpo.core.errors import UserError, WeightsError
from jax_mdpo.core.protocols import Processor
from jax_mdpo.models.families.llava.framing import read_framing
from jax_mdpo.models.families.llava.processor import LlavaProcessor


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    return write_processor(tmp_path_factory.mktemp("llava"), llama_like(), VICUNA)


@pytest.fixture
def copy(folder, tmp_path) -> Path:
    return Path(shutil.copytree(folder, tmp_path / "copy"))


@pytest.fixture(scope="module")
def processor(folder) -> LlavaProcessor:
    return LlavaProcessor.load(folder)


def noise(width: int, height: int) -> Image.Image:
    return Image.fromarray(np.random.default_rng(width).integers(0, 256, (height, width, 3), np.uint8))


GEOMETRIES = {
    "clip": CLIPImageProcessorPil(size={"shortest_edge": 28}, crop_size={"height": 28, "width": 28}),
    "integers": CLIPImageProcessorPil(size=28, crop_size=28),
    "odd crop": CLIPImageProcessorPil(size={"shortest_edge": 29}, crop_size={"height": 28, "width": 28}),
    "crop beyond the image": CLIPImageProcessorPil(size={"shortest_edge": 21}, crop_size={"height": 28, "width": 28}),
    "crop only": CLIPImageProcessorPil(do_resize=False, crop_size={"height": 28, "width": 28}),
    "bilinear": CLIPImageProcessorPil(size={"shortest_edge": 28}, crop_size={"height": 28, "width": 28}, resample=2),
    "resize only": SiglipImageProcessorPil(size={"height": 28, "width": 28}),
    "padded": LlavaImageProcessorPil(do_pad=True, size={"shortest_edge": 28}, crop_size={"height": 28, "width": 28}),
    "not padded": LlavaImageProcessorPil(size={"shortest_edge": 28}, crop_size={"height": 28, "width": 28}),
}


@pytest.mark.parametrize("name", GEOMETRIES)
@pytest.mark.parametrize("size", [(64, 48), (48, 64), (28, 28), (333, 31), (5, 9), (101, 57)])
def test_frames_equal_transformers_pixel_for_pixel(name, size):
    theirs = GEOMETRIES[name](noise(*size), do_rescale=False, do_normalize=False, return_tensors="np")["pixel_values"][0]
    ours = np.asarray(read_framing(GEOMETRIES[name])(noise(*size)))
    assert ours.dtype == np.uint8 and np.array_equal(np.moveaxis(theirs, 0, -1), ours)


@pytest.mark.parametrize("size", [(640, 480), (480, 640), (640, 427), (375, 500), (1024, 336), (337, 336), (1280, 720)])
def test_photographs_are_framed_as_llava_does_it(size):
    theirs = CLIPImageProcessorPil(size={"shortest_edge": 336}, crop_size={"height": 336, "width": 336})
    pixels = theirs(noise(*size), do_rescale=False, do_normalize=False, return_tensors="np")["pixel_values"][0]
    assert np.array_equal(np.moveaxis(pixels, 0, -1), np.asarray(read_framing(theirs)(noise(*size))))


def test_an_unknown_geometry_is_refused():
    class Flipped(CLIPImageProcessorPil):
        def resize(self, image, **options):
            return super().resize(image, **options)[..., ::-1]

    with pytest.raises(WeightsError, match="image processor Flipped is not one this program knows"):
        read_framing(Flipped(size={"shortest_edge": 28}, crop_size={"height": 28, "width": 28}))


def test_it_is_a_processor_and_survives_pickling(processor):
    assert isinstance(processor, Processor)
    again = pickle.loads(pickle.dumps(processor))
    assert again.fingerprint() == processor.fingerprint() and again.end_ids == processor.end_ids
    assert again.tokenize("two cats", special_tokens=True) == processor.tokenize("two cats", special_tokens=True)


@pytest.mark.parametrize(("strategy", "features"), [("default", 16), ("full", 17)])
def test_ids_equal_those_of_transformers_processor(copy, strategy, features):
    """28-pixel images in 7-pixel patches: 4 · 4, and the class token where the strategy keeps it."""
    config = json.loads((copy / "config.json").read_text())
    (copy / "config.json").write_text(json.dumps(config | {"vision_feature_select_strategy": strategy}))
    ours = LlavaProcessor.load(copy)
    theirs = HuggingFaceProcessor(
        image_processor=CLIPImageProcessorPil.from_pretrained(copy),
        tokenizer=llama_like(),
        patch_size=7,
        vision_feature_select_strategy=strategy,
        num_additional_image_tokens=1,
        chat_template=VICUNA,
    )
    messages = [{"role": "user", "content": [{"type": "image"}, {"type": "text", "text": "what is shown?"}]}]
    text = theirs.apply_chat_template(messages, add_generation_prompt=True)
    assert ours.render(messages, generation_prompt=True) == text
    expected = theirs(images=noise(64, 48), text=text).input_ids[0]
    ids, slots = ours.expand(ours.tokenize(text, special_tokens=True).ids)
    assert ids == list(expected)
    assert [slot for slot in slots if slot >= 0] == list(range(features)) and slots.count(-1) == len(ids) - features
    assert all((token == ours.image_id) == (slot >= 0) for token, slot in zip(ids, slots, strict=True))


def test_the_blank_image_is_black_and_of_input_size(processor):
    blank = processor.blank()
    assert blank.size == (28, 28) and blank.mode == "RGB" and not np.asarray(blank).any()


def test_normalisation_is_read_and_is_the_identity_where_it_is_off(processor, tmp_path):
    assert processor.pixel_scale == pytest.approx(1 / 255)
    assert processor.pixel_mean == pytest.approx((0.48145466, 0.4578275, 0.40821073))
    assert processor.pixel_std == pytest.approx((0.26862954, 0.26130258, 0.27577711))
    off = LlavaProcessor.load(write_processor(tmp_path / "p", llama_like(), VICUNA, do_rescale=False, do_normalize=False))
    assert (off.pixel_scale, off.pixel_mean, off.pixel_std) == (1.0, (0.0, 0.0, 0.0), (1.0, 1.0, 1.0))


def test_the_image_processor_may_stand_inside_processor_config(copy, processor):
    inner = json.loads((copy / "preprocessor_config.json").read_text())
    (copy / "preprocessor_config.json").unlink()
    (copy / "processor_config.json").write_text(json.dumps({"image_processor": inner, "processor_class": "LlavaProcessor"}))
    assert LlavaProcessor.load(copy).fingerprint() == processor.fingerprint()


@pytest.mark.parametrize("place", ["chat_template.json", "processor_config.json", "tokenizer_config.json"])
def test_the_template_is_found_wherever_checkpoints_keep_it(copy, processor, place):
    (copy / "chat_template.jinja").unlink()
    path = copy / place
    kept = json.loads(path.read_text()) if path.is_file() else {}
    path.write_text(json.dumps(kept | {"chat_template": VICUNA}))
    assert LlavaProcessor.load(copy).template == VICUNA


def test_end_tokens_come_from_all_their_places(copy, tmp_path):
    assert LlavaProcessor.load(copy).end_ids == {2}
    (copy / "generation_config.json").write_text(json.dumps({"eos_token_id": [2, 7]}))
    assert LlavaProcessor.load(copy).end_ids == {2, 7}
    closing = LlavaProcessor.load(write_processor(tmp_path / "p", byte_level(), CHATML))
    assert {closing.tokenizer.id_to_token(id) for id in closing.end_ids} == {"<|endoftext|>", "<|im_end|>"}


def test_stored_truncation_and_padding_are_ignored(copy, processor):
    state = json.loads((copy / "tokenizer.json").read_text())
    state["truncation"] = {"direction": "Right", "max_length": 3, "strategy": "LongestFirst", "stride": 0}
    (copy / "tokenizer.json").write_text(json.dumps(state))
    text = "the quick brown fox"
    assert LlavaProcessor.load(copy).tokenize(text, special_tokens=True) == processor.tokenize(text, special_tokens=True)


def test_token_ends_are_characters(processor):
    text = "two größe 🐈 cats"
    tokens = processor.tokenize(text, special_tokens=True)
    assert tokens.ends[0] == 0 and tokens.ends[-1] == len(text) and tokens.ends == sorted(tokens.ends)


def test_the_fingerprint_follows_what_changes_the_pixels_or_tokens(copy, processor):
    (copy / "chat_template.jinja").write_text(VICUNA + " ")
    changed = [LlavaProcessor.load(copy).fingerprint()]
    (copy / "chat_template.jinja").write_text(VICUNA)
    settings = json.loads((copy / "preprocessor_config.json").read_text())
    (copy / "preprocessor_config.json").write_text(json.dumps(settings | {"resample": 2}))
    changed.append(LlavaProcessor.load(copy).fingerprint())
    assert len({processor.fingerprint(), *changed}) == 3


def test_missing_and_contradicting_files_are_refused(copy):
    settings = json.loads((copy / "preprocessor_config.json").read_text())
    (copy / "preprocessor_config.json").write_text(json.dumps(settings | {"crop_size": {"height": 14, "width": 14}}))
    with pytest.raises(WeightsError, match=r"(?s)disagree on the image size.*28 × 28.*14 × 14"):
        LlavaProcessor.load(copy)
    (copy / "preprocessor_config.json").unlink()
    with pytest.raises(WeightsError, match=r"the image processor in .* cannot be loaded"):
        LlavaProcessor.load(copy)
    (copy / "config.json").unlink()
    with pytest.raises(WeightsError, match="no checkpoint folder"):
        LlavaProcessor.load(copy)


def test_remote_code_is_never_run(copy, tmp_path):
    (copy / "evil.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')\nclass Evil: pass\n")
    config = json.loads((copy / "preprocessor_config.json").read_text())
    config["auto_map"] = {"AutoImageProcessor": "evil.Evil"}
    config.pop("image_processor_type")
    (copy / "preprocessor_config.json").write_text(json.dumps(config))
    with contextlib.suppress(WeightsError):  # transformers may know the model's own processor, and then needs no other
        LlavaProcessor.load(copy)
    assert not (tmp_path / "ran").exists()


def test_a_missing_template_is_a_clear_error(copy):
    (copy / "chat_template.jinja").unlink()
    bare = LlavaProcessor.load(copy)
    assert bare.end_ids == {2}
    with pytest.raises(UserError, match="no chat template"):
        bare.render([], generation_prompt=True)
