"""The page of `inspect`: one pair, the variants of its image, and every token of its answers, coloured by what a model makes of it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PIL import Image

from jax_mdpo.core.files import write_text
from jax_mdpo.report.page import render
from jax_mdpo.report.quantities import QUANTITIES, Quantity
from jax_mdpo.report.rewards import Rewards


@dataclass(frozen=True)
class Shown:
    """An image with what made it. box: the part of it that the hard negative shows: left, top, right, bottom, in pixels."""

    label: str
    image: Image.Image
    made_by: str = ""
    settings: str = ""
    box: tuple[int, int, int, int] | None = None

    @property
    def frame(self) -> str:
        """The box as CSS, in shares of the image."""
        assert self.box is not None, "asked for only where there is one"
        left, top, right, bottom = self.box
        sides = {"left": left, "width": right - left, "top": top, "height": bottom - top}
        whole = {"left": self.image.width, "width": self.image.width, "top": self.image.height, "height": self.image.height}
        return "; ".join(f"{side}: {100 * length / whole[side]:.3f}%" for side, length in sides.items())

    @property
    def share(self) -> float:
        """The box's part of the image's area."""
        assert self.box is not None, "asked for only where there is one"
        left, top, right, bottom = self.box
        return (right - left) * (bottom - top) / (self.image.width * self.image.height)


@dataclass(frozen=True)
class AnswerTokens:
    """An answer. pieces: each token's text, empty where a character needs the next token too. values: by quantity, one for each token.

    guesses: what the model would say in each token's place under the noised image.
    """

    name: str
    pieces: tuple[str, ...]
    values: Mapping[str, Sequence[float]]
    guesses: tuple[str, ...] = ()


@dataclass(frozen=True)
class Inspection:
    """chosen, rejected: with the same quantities. losses: by term; none without an adapter. notes: short facts above the answers.

    alpha, tau: of the weights, where there are some. beta: of the rewards.
    """

    id: str | int
    model: str
    adapter: str | None
    prompt: str
    images: tuple[Shown, ...]
    chosen: AnswerTokens
    rejected: AnswerTokens
    losses: Mapping[str, float]
    alpha: float
    tau: float
    beta: float
    notes: tuple[str, ...] = ()

    @property
    def answers(self) -> tuple[AnswerTokens, AnswerTokens]:
        """The preferred one first."""
        return self.chosen, self.rejected

    @property
    def quantities(self) -> tuple[Quantity, ...]:
        """What is known of the tokens."""
        return tuple(quantity for quantity in QUANTITIES if quantity.key in self.chosen.values)

    @property
    def weighted(self) -> bool:
        """Whether there are token weights, which an image is needed for."""
        return "weight" in self.chosen.values

    @property
    def rewards(self) -> Rewards:
        """What the tokens add up to."""
        return Rewards.of(self.chosen.values, self.rejected.values, self.losses, self.beta)

    def numbers(self) -> dict[str, Any]:
        """What the page's own program works with."""
        return {
            "quantities": [
                {
                    "key": one.key,
                    "name": one.name,
                    "unit": one.unit,
                    "means": one.means,
                    "below": one.below,
                    "above": one.above,
                    "middle": one.middle,
                    "extent": one.extent(value for answer in self.answers for value in answer.values[one.key]),
                }
                for one in self.quantities
            ],
            "answers": [
                {"preferred": answer is self.chosen, "guesses": answer.guesses, "values": {k: list(v) for k, v in answer.values.items()}}
                for answer in self.answers
            ],
            "alpha": self.alpha,
            "tau": self.tau,
            "beta": self.beta,
        }


def write_inspection(page: Inspection, path: Path) -> None:
    """Writes the page as one HTML file that needs no other and no network; it appears whole or not at all."""
    write_text(path, render("inspection.html", page=page, number=number))


def number(value: float, *, sign: bool = False) -> str:
    """Four decimals, with a true minus sign. sign: also a plus."""
    return f"{value:{'+' if sign else ''}.4f}".replace("-", "−")
