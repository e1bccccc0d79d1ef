"""Scenes of one or two coloured shapes: what is in them, and their picture."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

COLOURS = {
    "red": (214, 45, 52),
    "green": (46, 160, 67),
    "blue": (36, 99, 216),
    "yellow": (240, 200, 40),
    "purple": (143, 63, 184),
    "white": (245, 245, 245),
}
SHAPES = ("circle", "square", "triangle", "star")

SIZE = 112  # pixels, width and height of a picture
OVERSAMPLING = 4  # shapes are drawn larger and reduced, for smooth edges

Point = tuple[float, float]


@dataclass(frozen=True)
class Thing:
    """A coloured shape. Two things are the same where both names are."""

    colour: str
    shape: str

    def __str__(self) -> str:
        return f"{self.colour} {self.shape}"


ALL_THINGS = tuple(Thing(colour, shape) for colour in COLOURS for shape in SHAPES)


@dataclass(frozen=True)
class Scene:
    """The things of a picture, from left to right."""

    things: tuple[Thing, ...]


def draw_things(rng: np.random.Generator) -> Scene:
    """A scene of one thing, or of two different ones."""
    chosen = rng.choice(len(ALL_THINGS), size=rng.integers(1, 3), replace=False)
    return Scene(tuple(ALL_THINGS[i] for i in chosen))


def render(scene: Scene, rng: np.random.Generator) -> Image.Image:
    """The scene's picture, RGB, SIZE × SIZE: shapes of varying size, place and turn on a noisy ground."""
    large = SIZE * OVERSAMPLING
    shapes = Image.new("RGBA", (large, large), (0, 0, 0, 0))
    pen = ImageDraw.Draw(shapes)
    column = large / len(scene.things)
    for i, thing in enumerate(scene.things):
        radius = rng.uniform(0.36, 0.46) * min(column, 0.75 * large)
        slack = (column / 2 - radius) * 0.9
        centre = (column * (i + 0.5) + rng.uniform(-slack, slack), rng.uniform(1.1 * radius, large - 1.1 * radius))
        _draw(pen, thing, centre, radius, turn=rng.uniform(-0.25, 0.25))
    picture = Image.alpha_composite(_ground(rng).convert("RGBA"), shapes.resize((SIZE, SIZE), Image.Resampling.LANCZOS))
    return _with_grain(picture.convert("RGB"), rng)


def _draw(pen: ImageDraw.ImageDraw, thing: Thing, centre: Point, radius: float, turn: float) -> None:
    x, y = centre
    fill, width = COLOURS[thing.colour], 2 * OVERSAMPLING
    outline = tuple(value // 2 for value in fill)
    if thing.shape == "circle":
        pen.ellipse((x - radius, y - radius, x + radius, y + radius), fill=fill, outline=outline, width=width)
    else:
        pen.polygon(CORNERS[thing.shape](centre, radius, turn), fill=fill, outline=outline, width=width)


def _ring(count: int, inner: float = 1.0, start: float = -math.pi / 2) -> Callable[[Point, float, float], list[Point]]:
    """Corners around a circle, the first at the angle `start`; every second one at `inner` times the radius."""

    def corners(centre: Point, radius: float, turn: float) -> list[Point]:
        angles = [start + turn + 2 * math.pi * i / count for i in range(count)]
        reach = [radius * (inner if i % 2 else 1.0) for i in range(count)]
        return [(centre[0] + r * math.cos(a), centre[1] + r * math.sin(a)) for r, a in zip(reach, angles, strict=True)]

    return corners


CORNERS = {"square": _ring(4, start=-math.pi / 4), "triangle": _ring(3), "star": _ring(10, inner=0.45)}


def _ground(rng: np.random.Generator) -> Image.Image:
    """A dark or middling ground with soft blotches, nearly grey."""
    blotches = rng.uniform(40, 120) + rng.normal(0, 18, (8, 8, 1)) + rng.normal(0, 5, (8, 8, 3))
    blotches = np.clip(blotches, 0, 255).astype(np.uint8)
    return Image.fromarray(blotches, "RGB").resize((SIZE, SIZE), Image.Resampling.BICUBIC).filter(ImageFilter.GaussianBlur(3))


def _with_grain(picture: Image.Image, rng: np.random.Generator) -> Image.Image:
    grain = rng.normal(0, 6, (SIZE, SIZE, 3))
    return Image.fromarray(np.clip(np.asarray(picture) + grain, 0, 255).astype(np.uint8), "RGB")
