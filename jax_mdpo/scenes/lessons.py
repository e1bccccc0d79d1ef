"""What the tiny LLaVA is taught with: scenes of a split of their own as framed pictures, with captions and questions that presume."""

import io
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

import numpy as np
from jaxtyping import Bool, UInt8
from PIL import Image

from jax_mdpo.core.batch import Batch
from jax_mdpo.core.config import config
from jax_mdpo.core.protocols import Processor
from jax_mdpo.core.records import Record
from jax_mdpo.core.seeds import generator
from jax_mdpo.core.views import CHOSEN
from jax_mdpo.data.batches import Bucket
from jax_mdpo.data.collate import collate
from jax_mdpo.data.encode import Encoder, Sequence
from jax_mdpo.data.layout import LaidOut, lay_out
from jax_mdpo.data.settings import DataSettings
from jax_mdpo.scenes.kinds import NAMES
from jax_mdpo.scenes.picture import picture_of
from jax_mdpo.scenes.scene import Scene, WorldSettings, scene_of
from jax_mdpo.scenes.wording import DESCRIBE, OPENINGS, Presumption, answer, caption, presumed, question

SPLIT = "lessons"  # scenes that are in no other split
CAPTION, QUESTIONS = "caption", ("present", "absent", "expected")  # the branches of a row


@config
class Lessons:
    """count: scenes. captions, answers: how often each takes an absent partner for present."""

    count: int = 6000
    captions: Presumption = Presumption(least=0.3, most=0.9)
    answers: Presumption = Presumption(least=0.1, most=0.7)


@dataclass(frozen=True)
class Taught:
    """N scenes. rows: their captions and questions as branches of one prefix, without images. labels: which of NAMES are there."""

    frames: UInt8[np.ndarray, "N height width 3"]
    labels: Bool[np.ndarray, "N kinds"]
    rows: Batch


def teach(world: WorldSettings, lessons: Lessons, processor: Processor) -> Taught:
    """The lessons' scenes; always the same ones."""
    scenes = [scene_of(world, SPLIT, index) for index in range(lessons.count)]
    frames = [framed(picture_of(scene, world, SPLIT, index), processor) for index, scene in enumerate(scenes)]
    encode = _encoding(processor)
    laid_out = []
    for index, scene in enumerate(scenes):
        said = _said(scene, lessons, generator(world.seed, "lesson", index))
        laid_out.append(lay_out({branch: encode(*texts) for branch, texts in said.items()}, processor))
    return Taught(np.stack(frames), labels_of(scenes), _rows(laid_out, processor))


def framed(picture: bytes, processor: Processor) -> np.ndarray:
    """A picture's file as the model sees it."""
    with Image.open(io.BytesIO(picture)) as image:
        return np.asarray(processor.frame(image))


def labels_of(scenes: list[Scene]) -> np.ndarray:
    """Which of NAMES are in each scene."""
    return np.array([[name in scene.objects for name in NAMES] for scene in scenes])


def _said(scene: Scene, lessons: Lessons, rng: np.random.Generator) -> dict[str, tuple[str, str]]:
    """Prompt and answer of each branch: a caption, and questions for an object, for an absent one, and for one that is expected."""
    opening = OPENINGS[int(rng.integers(len(OPENINGS)))]
    absent = [name for name in NAMES if name not in scene.objects and name not in scene.missing]
    asked = (rng.choice(scene.objects), rng.choice(absent), rng.choice(scene.missing or scene.objects))
    said = {CAPTION: (DESCRIBE, caption(presumed(scene, lessons.captions, rng), opening))}
    return said | {
        branch: (question(name), answer(name, scene, lessons.answers, rng)) for branch, name in zip(QUESTIONS, map(str, asked), strict=True)
    }


def _encoding(processor: Processor) -> Callable[[str, str], Sequence]:
    """(prompt, answer) → tokens; a question is asked many times, and encoded once."""
    encoder = Encoder(processor, DataSettings(path=SPLIT), (CHOSEN,))

    @cache
    def encode(prompt: str, text: str) -> Sequence:
        return encoder(Record(SPLIT, prompt, text, "", image=b"there is one"))[CHOSEN]

    return encode


def _rows(laid_out: list[LaidOut], processor: Processor) -> Batch:
    """Captions and questions side by side; each are padded among their like."""
    blank = np.asarray(processor.blank())
    parts = []
    for branches in ((CAPTION,), QUESTIONS):
        longest = max(len(one.responses[branch].ids) - 1 - one.prefix for one in laid_out for branch in branches)
        bucket = Bucket(max(one.prefix for one in laid_out), longest)
        parts.append(collate(laid_out, {}, bucket, blank, responses=branches))
    captions, questions = parts
    return captions._replace(branches=captions.branches | questions.branches)
