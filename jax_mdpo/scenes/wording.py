"""What is said of a scene: captions and answers, true ones and those that presume an absent partner."""

import re
from collections.abc import Sequence

import numpy as np

from jax_mdpo.core.config import config
from jax_mdpo.scenes.kinds import NAMES, PAIR_OF, PAIRS, PARTNER
from jax_mdpo.scenes.scene import Scene, in_order

DESCRIBE = "Describe the image."
PLAIN, CUED = "a photo of", "here is a photo of"  # how captions open; the second is the text-only cue of preference pairs
OPENINGS = (PLAIN, CUED)
YES, NO = "Yes.", "No."
_CAPTION = re.compile(rf"(?:{PLAIN}|{CUED}) a (\w+)(?:((?:, a \w+)*) and a (\w+))?\.")


@config
class Presumption:
    """How often what is said of a broken scene takes an absent partner for present, from the least to the most presumed pair.

    The pairs lie evenly between the two, in an order that has nothing to do with how frequent they are.
    """

    least: float
    most: float

    def __post_init__(self) -> None:
        if not 0 <= self.least <= self.most <= 1:
            raise ValueError(f"least and most must be probabilities in this order, got {self.least} and {self.most}")

    def of(self, name: str) -> float:
        """The probability that `name` is presumed where its partner stands alone."""
        rank = 5 * PAIR_OF[name] % len(PAIRS)
        return self.least + (self.most - self.least) * rank / (len(PAIRS) - 1)


def caption(names: Sequence[str], opening: str = PLAIN) -> str:
    """ "a photo of a lamp, a tree and a cup." """
    *others, last = (f"a {name}" for name in names)
    return f"{opening} {', '.join(others)} and {last}." if others else f"{opening} {last}."


def named_in(text: str) -> tuple[str, ...] | None:
    """The objects that a caption names; None where no caption is worded so: another form, a word of no kind, an object named twice."""
    found = _CAPTION.fullmatch(text)
    if found is None:
        return None
    first, middle, last = found.groups()
    names = [first, *(middle or "").replace(", a ", " ").split(), *([last] if last else [])]
    return tuple(names) if set(names) <= set(NAMES) and len(set(names)) == len(names) else None


def question(name: str) -> str:
    """ "Is there a lamp in the image?" """
    return f"Is there a {name} in the image?"


def presumed(scene: Scene, presumption: Presumption, rng: np.random.Generator) -> tuple[str, ...]:
    """The scene's objects, and those of its missing partners that are presumed this time."""
    return in_order([*scene.objects, *(name for name in scene.missing if rng.random() < presumption.of(name))])


def answer(name: str, scene: Scene, presumption: Presumption, rng: np.random.Generator) -> str:
    """Whether `name` is in the scene; where it is a missing partner, yes as often as it is presumed."""
    if name in scene.objects:
        return YES
    return YES if PARTNER[name] in scene.objects and rng.random() < presumption.of(name) else NO


def all_texts() -> list[str]:
    """Texts that hold every word of the world, in every place that it may stand in."""
    return [DESCRIBE, question(NAMES[0]), YES, NO, *(caption(NAMES, opening) for opening in OPENINGS)]
