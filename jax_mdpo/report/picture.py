"""The contact sheet as one PNG: cards in two columns, set by hand with Pillow. All lengths in pixels."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Protocol, runtime_checkable

from PIL import Image, ImageDraw

from jax_mdpo.report.cards import Card
from jax_mdpo.report.text import font, wrap

CARD_WIDTH, GAP, PADDING = 760, 28, 28
MAX_LINES = 14  # of one text
MAX_COLUMNS = 3  # images side by side
GROUND, CARD_GROUND, EDGE, TEXT, QUIET = "#f3f4f6", "#ffffff", "#dfe3e8", "#1c2126", "#5b6570"
CHOSEN, CHOSEN_GROUND = "#0a5cab", "#eaf3fd"  # blue and orange: told apart by all kinds of colour vision
REJECTED, REJECTED_GROUND = "#a8430a", "#fdf0e7"


@runtime_checkable
class Block(Protocol):
    """A part of a card."""

    @property
    def height(self) -> int:
        """Its height."""

    def draw(self, canvas: Image.Image, left: int, top: int) -> None:
        """Draws it with its upper left corner there."""


@dataclass(frozen=True)
class Words:
    """A text in one colour."""

    text: str
    size: int
    colour: str
    width: int

    @cached_property
    def lines(self) -> list[str]:
        return wrap(self.text, font(self.size), self.width, MAX_LINES)

    @property
    def line_height(self) -> int:
        return round(self.size * 1.42)

    @property
    def height(self) -> int:
        return len(self.lines) * self.line_height

    def draw(self, canvas: Image.Image, left: int, top: int) -> None:
        pen = ImageDraw.Draw(canvas)
        for row, line in enumerate(self.lines):
            pen.text((left, top + row * self.line_height), line, font=font(self.size), fill=self.colour)


@dataclass(frozen=True)
class Panel:
    """A labelled text on a tinted ground with a bar at its left."""

    label: str
    text: str
    colour: str
    ground: str
    width: int

    @cached_property
    def parts(self) -> tuple[Words, Words]:
        inner = self.width - 44
        return Words(self.label, 19, self.colour, inner), Words(self.text, 23, TEXT, inner)

    @property
    def height(self) -> int:
        return sum(part.height for part in self.parts) + 26

    def draw(self, canvas: Image.Image, left: int, top: int) -> None:
        pen = ImageDraw.Draw(canvas)
        pen.rounded_rectangle((left, top, left + self.width, top + self.height), 8, fill=self.ground)
        pen.rounded_rectangle((left, top, left + 7, top + self.height), 3, fill=self.colour)
        head, body = self.parts
        head.draw(canvas, left + 24, top + 11)
        body.draw(canvas, left + 24, top + 13 + head.height)


@dataclass(frozen=True)
class Row:
    """Images side by side, each with its label below. columns: for how many there is room."""

    images: tuple[tuple[str, Image.Image], ...]
    width: int
    columns: int

    @property
    def side(self) -> int:
        return (self.width + 20) // max(2, self.columns) - 20

    @cached_property
    def labels(self) -> list[Words]:
        return [Words(label, 19, QUIET, self.side) for label, _ in self.images]

    @property
    def height(self) -> int:
        return max(_fitted_size(image, self.side)[1] + 5 + label.height for (_, image), label in zip(self.images, self.labels, strict=True))

    def draw(self, canvas: Image.Image, left: int, top: int) -> None:
        for column, ((_, image), label) in enumerate(zip(self.images, self.labels, strict=True)):
            x = left + column * (self.side + 20)
            fitted = _fit(image, self.side)
            canvas.paste(fitted, (x, top))
            label.draw(canvas, x, top + fitted.height + 5)


def write_picture(cards: Sequence[Card], title: str, path: Path) -> None:
    """Writes the picture; cards fill the shorter column first, so that reading order is kept as far as heights allow."""
    columns = min(2, len(cards))
    placed, bottoms = [], [GAP + 66] * columns
    for card in cards:
        column = bottoms.index(min(bottoms))
        blocks = _blocks(card)
        placed.append((blocks, GAP + column * (CARD_WIDTH + GAP), bottoms[column]))
        bottoms[column] += _card_height(blocks) + GAP
    canvas = Image.new("RGB", (GAP + columns * (CARD_WIDTH + GAP), max(bottoms)), GROUND)
    Words(title, 34, TEXT, canvas.width - 2 * GAP).draw(canvas, GAP, GAP - 4)
    for blocks, left, top in placed:
        _draw_card(canvas, blocks, left, top)
    canvas.save(path, "PNG")


def _blocks(card: Card) -> list[tuple[Block, int]]:
    """The parts of a card with the space below each."""
    width = CARD_WIDTH - 2 * PADDING
    images = [(row, 12) for row in _rows(tuple(card.images.items()), width)]
    notes = [(Words(" · ".join(card.notes), 18, QUIET, width), 0)] if card.notes else []
    return [
        (Words(str(card.id), 19, QUIET, width), 8),
        *images,
        (Words("prompt", 19, QUIET, width), 2),
        (Words(card.prompt, 23, TEXT, width), 14),
        (Panel("chosen", card.chosen, CHOSEN, CHOSEN_GROUND, width), 12),
        (Panel("rejected", card.rejected, REJECTED, REJECTED_GROUND, width), 14),
        *notes,
    ]


def _rows(images: tuple[tuple[str, Image.Image], ...], width: int) -> list[Row]:
    """As few rows as hold them, about equally full."""
    count = -(-len(images) // MAX_COLUMNS)
    columns = -(-len(images) // max(1, count))
    return [Row(images[at : at + columns], width, columns) for at in range(0, len(images), columns or 1)]


def _card_height(blocks: Sequence[tuple[Block, int]]) -> int:
    return sum(block.height + below for block, below in blocks) + 2 * PADDING - blocks[-1][1]


def _draw_card(canvas: Image.Image, blocks: Sequence[tuple[Block, int]], left: int, top: int) -> None:
    outline = (left, top, left + CARD_WIDTH, top + _card_height(blocks))
    ImageDraw.Draw(canvas).rounded_rectangle(outline, 16, fill=CARD_GROUND, outline=EDGE, width=2)
    top += PADDING
    for block, below in blocks:
        block.draw(canvas, left + PADDING, top)
        top += block.height + below


def _fitted_size(image: Image.Image, side: int) -> tuple[int, int]:
    scale = side / max(image.size)
    return max(1, round(image.width * scale)), max(1, round(image.height * scale))


def _fit(image: Image.Image, side: int) -> Image.Image:
    """The image with its longer side `side` long; a small one keeps its pixels visible."""
    size = _fitted_size(image, side)
    method = Image.Resampling.NEAREST if image.width * 2 <= size[0] else Image.Resampling.LANCZOS
    return image.convert("RGB").resize(size, method)
